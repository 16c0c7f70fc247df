"""Facts: what is known about one loan, title or hold, and how an event adds to it.

`fold` gives the same fact in whatever order and however often its events arrive. Where events disagree, the highest
number of extensions decides the due date, the newest version the description of a title, and the earliest timestamp
wins.

Two facts have amounts, to which other facts add (see `contributions`): a member's month and a title.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import assert_never

from analytics_service.domain import incoming_events as i

KEEP_CLOSED = timedelta(days=180)
"""How long a closed loan or hold is stored. Its contribution to the counters stays."""
KEEP_LOST = timedelta(days=5 * 365)
"""How long a lost loan is stored. Its copy may be returned after years, which must not count as another loan."""
KEEP_EVENT = timedelta(days=90)
"""How long an event that only adds is stored: longer than any queue keeps a second delivery of it (14 days)."""

_FINAL = 1_000_000
"""Used as the number of extensions for the due date in a return, so that it decides."""


class FactKind(StrEnum):
    LOAN = "LOAN"
    TITLE = "TITLE"
    HOLD = "HOLD"
    EVENT = "EVENT"
    """An event that only adds, stored so that it adds once."""
    MEMBER_MONTH = "MEMBER"


@dataclass(frozen=True, order=True)
class FactKey:
    """Names one fact. part: the month, for a member's month."""

    kind: FactKind
    id: str
    part: str = ""


@dataclass(frozen=True)
class LoanFact:
    """A loan. Timestamps are RFC 3339 in UTC. member: an alias (docs/analytics.md). due_rank: the number of extensions
    that `due` has. renewals: number of the extension -> when.
    """

    book: str | None = None
    member: str | None = None
    title: str | None = None
    role: str | None = None
    genre: str | None = None
    issued: str | None = None
    due: str | None = None
    due_rank: int = -1
    returned: str | None = None
    lost: str | None = None
    renewals: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        return self.issued is not None and self.returned is None and self.lost is None


@dataclass(frozen=True)
class TitleFact:
    """A title. version: of the description. archived_version: of `archived`. first_copies: None before BookAdded."""

    title: str | None = None
    author: str | None = None
    genre: str | None = None
    version: int = -1
    archived: bool = False
    archived_version: int = -1
    first_copies: int | None = None
    amounts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class HoldFact:
    """A hold: its title, and when each step happened."""

    book: str | None = None
    steps: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_waiting(self) -> bool:
        return set(self.steps) == {"placed"}


@dataclass(frozen=True)
class EventFact:
    """What an event added: a member who joined with a role, or copies of a title."""

    at: str | None = None
    joined: str | None = None
    book: str | None = None
    copies: int = 0


@dataclass(frozen=True)
class MemberMonth:
    """What a member did in a month: loans, returns, renewals, late returns, and how much on each day."""

    amounts: Mapping[str, int] = field(default_factory=dict)


type Fact = LoanFact | TitleFact | HoldFact | EventFact | MemberMonth

_EMPTY: dict[FactKind, Fact] = {
    FactKind.LOAN: LoanFact(),
    FactKind.TITLE: TitleFact(),
    FactKind.HOLD: HoldFact(),
    FactKind.EVENT: EventFact(),
    FactKind.MEMBER_MONTH: MemberMonth(),
}


def empty(kind: FactKind) -> Fact:
    """A fact without any event."""
    return _EMPTY[kind]


def expires(fact: Fact, now: datetime) -> datetime | None:
    """When a fact that is written now expires; None if it stays.

    The time counts from this write, not from the return: a rebuild writes loans that were returned years ago, and
    their other events may come hours later.
    """
    match fact:
        case LoanFact(returned=None, lost=None):
            return None
        case LoanFact(returned=None):
            return now + KEEP_LOST
        case LoanFact():
            return now + KEEP_CLOSED
        case HoldFact():
            return None if set(fact.steps) <= {"placed"} else now + KEEP_CLOSED
        case EventFact():
            return now + KEEP_EVENT
        case TitleFact() | MemberMonth():
            return None
    assert_never(fact)


def key_of(change: i.Change) -> FactKey | None:
    """The fact that an event is about; None for an erasure."""
    match change:
        case i.LoanCreated() | i.LoanRenewed() | i.LoanReturned() | i.LoanLost():
            return FactKey(FactKind.LOAN, change.loan_id)
        case i.BookDescribed() | i.BookArchivalChanged():
            return FactKey(FactKind.TITLE, change.book_id)
        case i.HoldChanged():
            return FactKey(FactKind.HOLD, change.reservation_id)
        case i.CopiesChanged() | i.MemberRegistered():
            return FactKey(FactKind.EVENT, change.event_id)
        case i.MemberErased():
            return None
    assert_never(change)


def member_of(change: i.Change) -> str | None:
    """The member who did it, if members are counted for this event."""
    match change:
        case i.LoanCreated() | i.LoanRenewed() | i.LoanReturned():
            return change.user_id
        case _:
            return None


def fold(fact: Fact, change: i.Change, member: str | None) -> Fact:
    """The fact after an event. member: the alias of the member who did it, None if erased."""
    match fact, change:
        case LoanFact(), i.LoanCreated() | i.LoanRenewed() | i.LoanReturned() | i.LoanLost():
            return _loan(fact, change, member)
        case TitleFact(), i.BookDescribed() | i.BookArchivalChanged():
            return _title(fact, change)
        case HoldFact(), i.HoldChanged():
            steps = {**fact.steps, change.step: _earliest(fact.steps.get(change.step), change.at)}
            return replace(fact, book=change.book_id, steps=steps)
        case EventFact(), i.MemberRegistered():
            return EventFact(at=text(change.at), joined=change.role)
        case EventFact(), i.CopiesChanged():
            return EventFact(at=text(change.at), book=change.book_id, copies=change.added)
        case _:
            raise TypeError(f"{type(change).__name__} is not about a {type(fact).__name__}")


def _loan(
    fact: LoanFact, change: i.LoanCreated | i.LoanRenewed | i.LoanReturned | i.LoanLost, member: str | None
) -> LoanFact:
    fact = replace(
        fact,
        # If events disagree, always the same one wins. Events after an erasure have no alias.
        book=min(filter(None, (fact.book, change.book_id))),
        member=min(filter(None, (fact.member, member)), default=None),
        title=min(filter(None, (fact.title, change.title)), default=None),
    )
    match change:
        case i.LoanCreated():
            fact = replace(fact, issued=text(change.issue_date), role=change.role, genre=change.genre)
            return _due(fact, 0, change.due_date)
        case i.LoanRenewed():
            number = str(change.extensions_count)
            renewals = {**fact.renewals, number: _earliest(fact.renewals.get(number), change.at)}
            return _due(replace(fact, renewals=renewals), change.extensions_count, change.due_date)
        case i.LoanReturned():
            returned = _earliest(fact.returned, change.return_date)
            return _due(replace(fact, issued=text(change.issue_date), returned=returned), _FINAL, change.due_date)
        case i.LoanLost():
            return replace(fact, lost=_earliest(fact.lost, change.at))
    assert_never(change)


def _due(fact: LoanFact, rank: int, due: datetime) -> LoanFact:
    newest, moment = max((fact.due_rank, fact.due or ""), (rank, text(due)))
    return replace(fact, due_rank=newest, due=moment)


def _title(fact: TitleFact, change: i.BookDescribed | i.BookArchivalChanged) -> TitleFact:
    if isinstance(change, i.BookArchivalChanged):
        if change.book_version <= fact.archived_version:
            return fact
        return replace(fact, archived=change.archived, archived_version=change.book_version)
    if change.total_copies is not None:
        fact = replace(fact, first_copies=change.total_copies)
    if change.book_version <= fact.version:
        return fact
    return replace(fact, title=change.title, author=change.author, genre=change.genre, version=change.book_version)


def with_amounts(fact: Fact, more: Mapping[str, int]) -> Fact:
    """Adds to the amounts of a fact; drops zeros."""
    if not isinstance(fact, TitleFact | MemberMonth):
        raise TypeError(f"{type(fact).__name__} has no amounts")
    summed = {name: fact.amounts.get(name, 0) + more.get(name, 0) for name in {*fact.amounts, *more}}
    return replace(fact, amounts={name: summed[name] for name in sorted(summed) if summed[name]})


def _earliest(known: str | None, moment: datetime) -> str:
    return min(filter(None, (known, text(moment))))


def text(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, so that text order is time order."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def moment(stored: str) -> datetime:
    return datetime.fromisoformat(stored)
