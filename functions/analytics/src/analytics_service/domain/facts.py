"""Facts: what is known of one loan, title or hold, and how an event adds to it.

`fold` sets what an event knows and compares where events disagree, so that a fact is the same whatever the order in
which its events come, and however often: the greatest count of extensions has the due date, the newest version has a
title's description, the earliest moment stands.

Two kinds of facts have amounts, which other facts add to (see `contributions`): a member's month and a title's copies.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import assert_never

from analytics_service.domain import incoming as i

KEEP_CLOSED = timedelta(days=180)
"""How long a loan or hold that is over is known of. What it counted for stays."""
KEEP_LOST = timedelta(days=5 * 365)
"""How long a loan that was lost is known of. Copies turn up after years, and are to count as returned then, not as
lent once more.
"""
KEEP_ONCE = timedelta(days=90)
"""How long an event that only adds is known of: longer than any queue keeps a second delivery of it (14 days)."""

_FINAL = 1_000_000
"""In place of a count of extensions for the due date that a return tells of."""


class FactKind(StrEnum):
    LOAN = "LOAN"
    TITLE = "TITLE"
    HOLD = "HOLD"
    ONCE = "EVENT"
    """An event that only adds, so that it adds once."""
    MEMBER_MONTH = "MEMBER"


@dataclass(frozen=True, order=True)
class FactKey:
    """Names one fact. part: the month of a member's month, else empty."""

    kind: FactKind
    id: str
    part: str = ""


@dataclass(frozen=True)
class LoanFact:
    """A loan. Moments are RFC 3339 in UTC. member: an alias (docs/analytics.md). renewals: extension -> when."""

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
    """A title. version: of the description; shelf_version: of `archived`. first_copies: None until it was added."""

    title: str | None = None
    author: str | None = None
    genre: str | None = None
    version: int = -1
    archived: bool = False
    shelf_version: int = -1
    first_copies: int | None = None
    amounts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class HoldFact:
    """A hold: which title, and when each step was taken."""

    book: str | None = None
    steps: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_waiting(self) -> bool:
        return set(self.steps) == {"placed"}


@dataclass(frozen=True)
class OnceFact:
    """What an event added: `joined` a role on a day, or `copies` to a title."""

    at: str | None = None
    joined: str | None = None
    book: str | None = None
    copies: int = 0


@dataclass(frozen=True)
class MemberMonth:
    """What a member did in a month: loans, returns, renewals, late, and acts by day of the month."""

    amounts: Mapping[str, int] = field(default_factory=dict)


type Fact = LoanFact | TitleFact | HoldFact | OnceFact | MemberMonth

_EMPTY: dict[FactKind, Fact] = {
    FactKind.LOAN: LoanFact(),
    FactKind.TITLE: TitleFact(),
    FactKind.HOLD: HoldFact(),
    FactKind.ONCE: OnceFact(),
    FactKind.MEMBER_MONTH: MemberMonth(),
}


def empty(kind: FactKind) -> Fact:
    """The fact nothing is known of."""
    return _EMPTY[kind]


def expires(fact: Fact, now: datetime) -> datetime | None:
    """When a fact written now may be forgotten; None for what is kept.

    Counted from the writing, not from the return: a rebuild writes facts of loans returned years ago, and the other
    events of such a loan may come hours later.
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
        case OnceFact():
            return now + KEEP_ONCE
        case TitleFact() | MemberMonth():
            return None
    assert_never(fact)


def key_of(change: i.Change) -> FactKey | None:
    """The fact an event is about; None for an erasure, which is about no fact but about whose they are."""
    match change:
        case i.LoanCreated() | i.LoanRenewed() | i.LoanReturned() | i.LoanLost():
            return FactKey(FactKind.LOAN, change.loan_id)
        case i.BookDescribed() | i.BookShelved():
            return FactKey(FactKind.TITLE, change.book_id)
        case i.HoldMoved():
            return FactKey(FactKind.HOLD, change.reservation_id)
        case i.CopiesChanged() | i.MemberRegistered():
            return FactKey(FactKind.ONCE, change.event_id)
        case i.MemberErased():
            return None
    assert_never(change)


def member_of(change: i.Change) -> str | None:
    """Whose act it was, where that is counted."""
    match change:
        case i.LoanCreated() | i.LoanRenewed() | i.LoanReturned():
            return change.user_id
        case _:
            return None


def fold(fact: Fact, change: i.Change, member: str | None) -> Fact:
    """What is known once an event is known, too. member: the alias of whose act it was, None when forgotten."""
    match fact, change:
        case LoanFact(), i.LoanCreated() | i.LoanRenewed() | i.LoanReturned() | i.LoanLost():
            return _loan(fact, change, member)
        case TitleFact(), i.BookDescribed() | i.BookShelved():
            return _title(fact, change)
        case HoldFact(), i.HoldMoved():
            steps = {**fact.steps, change.step: _earliest(fact.steps.get(change.step), change.at)}
            return replace(fact, book=change.book_id, steps=steps)
        case OnceFact(), i.MemberRegistered():
            return OnceFact(at=text(change.at), joined=change.role)
        case OnceFact(), i.CopiesChanged():
            return OnceFact(at=text(change.at), book=change.book_id, copies=change.added)
        case _:
            raise TypeError(f"{type(change).__name__} says nothing of a {type(fact).__name__}")


def _loan(
    fact: LoanFact, change: i.LoanCreated | i.LoanRenewed | i.LoanReturned | i.LoanLost, member: str | None
) -> LoanFact:
    fact = replace(
        fact,
        # Of two that contradict each other always the same one. Events after an erasure have no alias.
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


def _title(fact: TitleFact, change: i.BookDescribed | i.BookShelved) -> TitleFact:
    if isinstance(change, i.BookShelved):
        if change.book_version <= fact.shelf_version:
            return fact
        return replace(fact, archived=change.archived, shelf_version=change.book_version)
    if change.total_copies is not None:
        fact = replace(fact, first_copies=change.total_copies)
    if change.book_version <= fact.version:
        return fact
    return replace(fact, title=change.title, author=change.author, genre=change.genre, version=change.book_version)


def with_amounts(fact: Fact, more: Mapping[str, int]) -> Fact:
    """Adds to a fact that has amounts. What comes to nothing is left out."""
    if not isinstance(fact, TitleFact | MemberMonth):
        raise TypeError(f"a {type(fact).__name__} has no amounts")
    summed = {name: fact.amounts.get(name, 0) + more.get(name, 0) for name in {*fact.amounts, *more}}
    return replace(fact, amounts={name: summed[name] for name in sorted(summed) if summed[name]})


def _earliest(known: str | None, moment: datetime) -> str:
    return min(filter(None, (known, text(moment))))


def text(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds: sorts as it reads."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def moment(stored: str) -> datetime:
    return datetime.fromisoformat(stored)
