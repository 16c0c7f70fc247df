"""The events that analytics counts.

Events of other types, fields that are not counted, and unknown values are accepted, so that a newer version of another
service can add them: a new role counts as "other", a new status of a copy like any status. Versions 1 and 2 are both
read; what version 1 does not have (the genre) is unknown.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError


class InvalidEvent(ValueError):
    """An event that will never be valid. The message names the wrong fields, never their values."""


UNKNOWN = "unknown"
"""The genre of a title that has none, or whose genre is not known."""
_ROLES = frozenset({"student", "faculty", "patron", "librarian", "admin"})
_LONGEST_GENRE = 60
_LONGEST_TEXT = 500
_YEARS = range(1900, 2200)
"""Far enough from the limits of dates to be valid in every time zone."""


def _utc(moment: datetime) -> datetime:
    if moment.year not in _YEARS:
        raise ValueError("the year is out of range")
    return moment.astimezone(UTC)


def _short(text: str) -> str:
    return text[:_LONGEST_TEXT]


def _genre(text: str | None) -> str | None:
    return " ".join(text.casefold().split())[:_LONGEST_GENRE].rstrip() or None if text else None


def _role(text: str) -> str:
    # A new role must not add an attribute to every counter.
    return text if text in _ROLES else "other"


type Timestamp = Annotated[AwareDatetime, AfterValidator(_utc)]
type Genre = Annotated[str | None, AfterValidator(_genre)]
type RoleName = Annotated[str, AfterValidator(_role)]
type Text = Annotated[str, AfterValidator(_short)]
type Version = Annotated[int, Field(ge=0, le=10**12)]
type Id = Annotated[str, Field(min_length=1, max_length=80)]


class _Event(BaseModel):
    """event_id: the envelope's id. at: when it happened."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    event_id: Id
    at: Timestamp


class _AboutLoan(_Event):
    loan_id: Id
    user_id: Id
    book_id: Id
    title: Text = ""


class LoanCreated(_AboutLoan):
    """A copy was issued."""

    role: RoleName
    genre: Genre = None
    issue_date: Timestamp
    due_date: Timestamp


class LoanRenewed(_AboutLoan):
    """The due date moved. `extensions_count` counts this one."""

    due_date: Timestamp
    extensions_count: Annotated[int, Field(ge=1, le=1000)]


class LoanReturned(_AboutLoan):
    """The copy came back."""

    issue_date: Timestamp
    due_date: Timestamp
    return_date: Timestamp


class LoanLost(_AboutLoan):
    """The copy will not come back."""


class BookDescribed(_Event):
    """The description of a title as of a version. total_copies: only when it was added."""

    book_id: Id
    book_version: Version
    title: Text
    author: Text = ""
    genre: Genre = None
    total_copies: Annotated[int, Field(ge=0, le=100_000)] | None = None


class BookArchivalChanged(_Event):
    """A title was archived or restored."""

    book_id: Id
    book_version: Version
    archived: bool


class _CopyChange(BaseModel):
    previous: str | None = None
    status: str | None = None


class CopiesChanged(_Event):
    """Copies were added to a title or removed. Changes of status alone are not counted."""

    book_id: Id
    copies: list[_CopyChange]

    @property
    def added(self) -> int:
        came = sum(copy.previous is None and copy.status is not None for copy in self.copies)
        return came - sum(copy.status is None and copy.previous is not None for copy in self.copies)


type HoldStep = Literal["placed", "filled", "expired", "cancelled"]


class HoldChanged(_Event):
    """A hold was placed, has a copy waiting, or ended without one."""

    reservation_id: Id
    book_id: Id
    step: HoldStep


class MemberRegistered(_Event):
    """Somebody joined."""

    user_id: Id
    role: RoleName


class MemberErased(_Event):
    """A member was erased."""

    user_id: Id


class _BookUpdated(_Event):
    """Version 1 has only the names of the changed fields; version 2 has the new description."""

    book_id: Id
    book_version: Version
    title: Text | None = None
    author: Text = ""
    genre: Genre = None


type Change = (
    LoanCreated
    | LoanRenewed
    | LoanReturned
    | LoanLost
    | BookDescribed
    | BookArchivalChanged
    | CopiesChanged
    | HoldChanged
    | MemberRegistered
    | MemberErased
)

_HOLD_STEPS: dict[str, HoldStep] = {
    "BookReserved": "placed",
    "ReservationReady": "filled",
    "ReservationExpired": "expired",
    "ReservationCancelled": "cancelled",
}


SOURCES: dict[str, str] = {
    **dict.fromkeys(("LoanCreated", "LoanRenewed", "LoanReturned", "LoanLost", *_HOLD_STEPS), "library.loans"),
    **dict.fromkeys(("BookAdded", "BookUpdated", "BookRemoved", "BookRestored", "CopyStatusChanged"), "library.books"),
    **dict.fromkeys(("MemberRegistered", "MemberErased"), "library.users"),
}
"""The service that sends each event."""


def parse_event(
    event_type: str, event_id: str, occurred_at: str, data: dict[str, Any], *, source: str | None = None
) -> Change | None:
    """What an event changes; None if it changes nothing that is counted. Raises InvalidEvent."""
    if source is not None and event_type in SOURCES and SOURCES[event_type] != source:
        raise InvalidEvent(f"{event_type}: sent by the wrong source")
    fields = {**data, "event_id": event_id, "at": occurred_at}
    try:
        return _read(event_type, fields)
    except ValidationError as wrong:
        wrong_fields = (f"{'.'.join(map(str, error['loc'])) or 'data'} ({error['type']})" for error in wrong.errors())
        raise InvalidEvent(f"{event_type}: {', '.join(wrong_fields)}") from None


def _read(event_type: str, fields: dict[str, Any]) -> Change | None:  # noqa: PLR0911 - one line per event
    match event_type:
        case "LoanCreated":
            return LoanCreated.model_validate(fields)
        case "LoanRenewed":
            return LoanRenewed.model_validate(fields)
        case "LoanReturned":
            return LoanReturned.model_validate(fields)
        case "LoanLost":
            return LoanLost.model_validate(fields)
        case "BookAdded":
            return BookDescribed.model_validate(fields)
        case "BookUpdated":
            updated = _BookUpdated.model_validate(fields)
            return BookDescribed.model_validate(updated.model_dump()) if updated.title is not None else None
        case "BookRemoved" | "BookRestored":
            return BookArchivalChanged.model_validate({**fields, "archived": event_type == "BookRemoved"})
        case "CopyStatusChanged":
            changed = CopiesChanged.model_validate(fields)
            return changed if changed.added else None
        case "MemberRegistered":
            return MemberRegistered.model_validate(fields)
        case "MemberErased":
            return MemberErased.model_validate(fields)
        case _ if event_type in _HOLD_STEPS:
            return HoldChanged.model_validate({**fields, "step": _HOLD_STEPS[event_type]})
        case _:
            return None
