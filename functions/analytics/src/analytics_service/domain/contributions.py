"""What a fact contributes to the counters. A counter is always the sum of the contributions of all facts.

To keep this invariant, the transaction that writes a fact also adds the difference between its new and its old
contribution. A duplicate event changes no fact, so it changes no counter.

A fact contributes to counters, or to the amounts of another fact (a loan to its member's month, new copies to their
title), which then contributes to counters by its amounts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from analytics_service.domain import counters as c
from analytics_service.domain.counters import CounterKey, Kind
from analytics_service.domain.days import Calendar, month_of
from analytics_service.domain.facts import (
    EventFact,
    Fact,
    FactKey,
    FactKind,
    HoldFact,
    LoanFact,
    MemberMonth,
    TitleFact,
    moment,
)
from analytics_service.domain.incoming_events import UNKNOWN

type _Target = CounterKey | FactKey


@dataclass
class Contribution:
    """Additions by counter or fact."""

    to: dict[_Target, dict[str, int]] = field(default_factory=dict)

    def add(self, target: _Target, measure: str, amount: int = 1) -> None:
        measures = self.to.setdefault(target, {})
        measures[measure] = measures.get(measure, 0) + amount

    def less(self, other: "Contribution") -> "Contribution":
        """The difference, without zeros."""
        result = Contribution({target: dict(measures) for target, measures in self.to.items()})
        for target, measures in other.to.items():
            for measure, amount in measures.items():
                result.add(target, measure, -amount)
        return result.without_zeros()

    def plus(self, other: "Contribution") -> None:
        for target, measures in other.to.items():
            for measure, amount in measures.items():
                self.add(target, measure, amount)

    def without_zeros(self) -> "Contribution":
        kept = {
            target: left
            for target, measures in self.to.items()
            if (left := {measure: amount for measure, amount in measures.items() if amount})
        }
        return Contribution(kept)

    def counters(self) -> Iterator[tuple[CounterKey, Mapping[str, int]]]:
        for target, measures in self.to.items():
            if isinstance(target, CounterKey):
                yield target, measures

    def amounts(self) -> Iterator[tuple[FactKey, Mapping[str, int]]]:
        for target, measures in self.to.items():
            if isinstance(target, FactKey):
                yield target, measures


def contribution(key: FactKey, fact: Fact, calendar: Calendar) -> Contribution:
    """What a fact contributes."""
    found = Contribution()
    match fact:
        case LoanFact():
            _loan(found, fact, calendar)
        case TitleFact():
            _title(found, fact)
        case HoldFact():
            _hold(found, fact, calendar)
        case EventFact():
            _event(found, fact, calendar)
        case MemberMonth():
            _member_month(found, key, fact)
    return found


def _loan(found: Contribution, loan: LoanFact, calendar: Calendar) -> None:
    if loan.issued is not None:
        issued = moment(loan.issued)
        day = calendar.day(issued)
        _act(found, loan, day, c.LOANS, titles=True)
        found.add(_day(day), c.at_hour(calendar.hour(issued)))
        if loan.role:
            found.add(_day(day), c.by_role(loan.role))
    for renewed in loan.renewals.values():
        _act(found, loan, calendar.day(moment(renewed)), c.RENEWALS, titles=True)
    if loan.returned is not None:
        day = calendar.day(moment(loan.returned))
        _act(found, loan, day, c.RETURNS, titles=False)
        if loan.due is not None:
            _late(found, loan, day, calendar.day(moment(loan.due)))
    if loan.lost is not None:
        found.add(_day(calendar.day(moment(loan.lost))), c.LOST)
    if loan.is_open and loan.due is not None:
        found.add(CounterKey(Kind.DUE, calendar.day(moment(loan.due)).isoformat()), c.OPEN)


def _act(found: Contribution, loan: LoanFact, day: date, measure: str, *, titles: bool) -> None:
    found.add(_day(day), measure)
    _in_genre(found, loan, day, measure)
    if titles and loan.book:
        found.add(CounterKey(Kind.TITLE_DAY, day.isoformat(), loan.book), measure)
        found.add(CounterKey(Kind.TITLE_MONTH, month_of(day), loan.book), measure)
    if loan.member:
        month = FactKey(FactKind.MEMBER_MONTH, loan.member, month_of(day))
        found.add(month, measure)
        found.add(month, c.on_day(day.day))


def _in_genre(found: Contribution, loan: LoanFact, day: date, measure: str) -> None:
    genre = loan.genre or UNKNOWN
    found.add(CounterKey(Kind.GENRE_DAY, day.isoformat(), genre), measure)
    found.add(CounterKey(Kind.GENRE_MONTH, month_of(day), genre), measure)


def _late(found: Contribution, loan: LoanFact, day: date, due: date) -> None:
    """A return is late on a later day than the due day, by the library's calendar."""
    days = (day - due).days
    if days < 1:
        return
    found.add(_day(day), c.LATE)
    found.add(_day(day), c.OVERDUE_DAYS, days)
    found.add(_day(day), c.late_by_weekday(due.weekday()))
    found.add(_day(day), c.late_by_length(days))
    if loan.role:
        found.add(_day(day), c.late_by_role(loan.role))
    _in_genre(found, loan, day, c.LATE)
    if loan.member:
        found.add(FactKey(FactKind.MEMBER_MONTH, loan.member, month_of(day)), c.LATE)


def _title(found: Contribution, title: TitleFact) -> None:
    if title.first_copies is None or title.archived:
        return
    holdings = CounterKey(Kind.HOLDINGS, of=title.genre or UNKNOWN)
    found.add(holdings, c.TITLES)
    found.add(holdings, c.COPIES, copies_of(title))


def copies_of(title: TitleFact) -> int:
    """The number of copies of a title."""
    return (title.first_copies or 0) + title.amounts.get(c.COPIES, 0)


def _hold(found: Contribution, hold: HoldFact, calendar: Calendar) -> None:
    for step, at in hold.steps.items():
        found.add(_day(calendar.day(moment(at))), c.holds(step))
    if hold.is_waiting and hold.book:
        found.add(CounterKey(Kind.WAITING, of=hold.book), c.WAITING)
        found.add(CounterKey(Kind.NOW), c.WAITING)


def _event(found: Contribution, event: EventFact, calendar: Calendar) -> None:
    if event.joined and event.at:
        found.add(_day(calendar.day(moment(event.at))), c.new_members(event.joined))
    if event.book and event.copies:
        found.add(FactKey(FactKind.TITLE, event.book), c.COPIES, event.copies)


def _member_month(found: Contribution, key: FactKey, month: MemberMonth) -> None:
    amounts = month.amounts
    if any(amounts.get(measure, 0) for measure in (c.LOANS, c.RENEWALS, c.RETURNS)):
        found.add(CounterKey(Kind.MONTH, key.part), c.ACTIVE)
        found.add(CounterKey(Kind.MONTH, key.part), c.in_band(amounts.get(c.LOANS, 0)))
    for number in range(1, 32):
        if amounts.get(c.on_day(number), 0) > 0:
            found.add(CounterKey(Kind.DAY, f"{key.part}-{number:02d}"), c.ACTIVE)


def _day(day: date) -> CounterKey:
    return CounterKey(Kind.DAY, day.isoformat())
