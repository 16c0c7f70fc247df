"""The events analytics understands, read into what they say. Other services' fields it does not count are ignored.

Version 1 and 2 are understood side by side: what version 1 does not tell (the genre) is unknown.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError


class NotUnderstood(ValueError):
    """An event that no number of tries will make sense of. Says which fields are wrong, never what they hold."""


UNKNOWN = "unknown"
"""The genre of what has none, or of what was not told of."""
_ROLES = frozenset({"student", "faculty", "patron", "librarian", "admin"})
_LONGEST_GENRE = 60
_LONGEST_TEXT = 500


_YEARS = range(1900, 2200)
"""Far enough from both ends of what dates can say that every zone's clock can show it."""


def _utc(moment: datetime) -> datetime:
    if moment.year not in _YEARS:
        raise ValueError("no year of this library")
    return moment.astimezone(UTC)


def _short(text: str) -> str:
    return text[:_LONGEST_TEXT]


def _genre(text: str | None) -> str | None:
    return " ".join(text.casefold().split())[:_LONGEST_GENRE].rstrip() or None if text else None


def _role(text: str) -> str:
    # A role of tomorrow must not become an attribute of its own in every counter.
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
    """What a title is called as of a version. total_copies: when it entered the catalogue."""

    book_id: Id
    book_version: Version
    title: Text
    author: Text = ""
    genre: Genre = None
    total_copies: Annotated[int, Field(ge=0, le=100_000)] | None = None


class BookShelved(_Event):
    """A title left the catalogue, or is back in it."""

    book_id: Id
    book_version: Version
    archived: bool


class _CopyChange(BaseModel):
    previous: str | None = None
    status: str | None = None


class CopiesChanged(_Event):
    """Copies came to a title or left it. Those that only changed their state are no news here."""

    book_id: Id
    copies: list[_CopyChange]

    @property
    def added(self) -> int:
        came = sum(copy.previous is None and copy.status is not None for copy in self.copies)
        return came - sum(copy.status is None and copy.previous is not None for copy in self.copies)


type HoldStep = Literal["placed", "filled", "expired", "cancelled"]


class HoldMoved(_Event):
    """A hold was placed, has a copy waiting, or ended without one."""

    reservation_id: Id
    book_id: Id
    step: HoldStep


class MemberRegistered(_Event):
    """Somebody joined."""

    user_id: Id
    role: RoleName


class MemberErased(_Event):
    """Somebody is to be forgotten."""

    user_id: Id


class _BookUpdated(_Event):
    """Version 1 names the changed fields only; version 2 says what the description is now."""

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
    | BookShelved
    | CopiesChanged
    | HoldMoved
    | MemberRegistered
    | MemberErased
)

_HOLD_STEPS: dict[str, HoldStep] = {
    "BookReserved": "placed",
    "ReservationReady": "filled",
    "ReservationExpired": "expired",
    "ReservationCancelled": "cancelled",
}


_LOANS, _BOOKS, _USERS = "library.loans", "library.books", "library.users"
SOURCES: dict[str, str] = {
    "LoanCreated": _LOANS,
    "LoanRenewed": _LOANS,
    "LoanReturned": _LOANS,
    "LoanLost": _LOANS,
    **dict.fromkeys(_HOLD_STEPS, _LOANS),
    "BookAdded": _BOOKS,
    "BookUpdated": _BOOKS,
    "BookRemoved": _BOOKS,
    "BookRestored": _BOOKS,
    "CopyStatusChanged": _BOOKS,
    "MemberRegistered": _USERS,
    "MemberErased": _USERS,
}
"""Who may tell of what."""


def understand(
    event_type: str, event_id: str, occurred_at: str, data: dict[str, Any], *, source: str | None = None
) -> Change | None:
    """What an event says; None when there is nothing in it to count. Raises NotUnderstood."""
    if source is not None and event_type in SOURCES and SOURCES[event_type] != source:
        raise NotUnderstood(f"{event_type}: not for this source to tell")
    told = {**data, "event_id": event_id, "at": occurred_at}
    try:
        return _read(event_type, told)
    except ValidationError as wrong:
        fields = (f"{'.'.join(map(str, error['loc'])) or 'data'} ({error['type']})" for error in wrong.errors())
        raise NotUnderstood(f"{event_type}: {', '.join(fields)}") from None


def _read(event_type: str, told: dict[str, Any]) -> Change | None:  # noqa: PLR0911 - one line per event
    match event_type:
        case "LoanCreated":
            return LoanCreated.model_validate(told)
        case "LoanRenewed":
            return LoanRenewed.model_validate(told)
        case "LoanReturned":
            return LoanReturned.model_validate(told)
        case "LoanLost":
            return LoanLost.model_validate(told)
        case "BookAdded":
            return BookDescribed.model_validate(told)
        case "BookUpdated":
            return _described(_BookUpdated.model_validate(told))
        case "BookRemoved" | "BookRestored":
            return BookShelved.model_validate({**told, "archived": event_type == "BookRemoved"})
        case "CopyStatusChanged":
            changed = CopiesChanged.model_validate(told)
            return changed if changed.added else None
        case "MemberRegistered":
            return MemberRegistered.model_validate(told)
        case "MemberErased":
            return MemberErased.model_validate(told)
        case _ if event_type in _HOLD_STEPS:
            return HoldMoved.model_validate({**told, "step": _HOLD_STEPS[event_type]})
        case _:
            return None


def _described(updated: _BookUpdated) -> BookDescribed | None:
    if updated.title is None:
        return None
    return BookDescribed(
        event_id=updated.event_id,
        at=updated.at,
        book_id=updated.book_id,
        book_version=updated.book_version,
        title=updated.title,
        author=updated.author,
        genre=updated.genre,
    )
