"""The reports: sums of counters, in the form that the API answers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from analytics_service import schemas as s
from analytics_service.application.counter_sums import CounterSums, by_suffix, ratio, sum_of
from analytics_service.application.ports import CounterReader, MemberAliases
from analytics_service.application.title_names import TitleNames
from analytics_service.domain import counters as c
from analytics_service.domain.contributions import copies_of
from analytics_service.domain.counters import Kind, Measures
from analytics_service.domain.days import (
    DEFAULT_SPAN_DAYS,
    LONGEST_SPAN_BY_HOUR_DAYS,
    LONGEST_SPAN_DAYS,
    Calendar,
    Granularity,
    Span,
    month_of,
    point_of,
    span_of,
)
from analytics_service.domain.errors import InvalidPeriod
from analytics_service.domain.facts import TitleFact
from analytics_service.domain.incoming_events import UNKNOWN
from library_common.clock import Clock, to_rfc3339

TOP_TITLES = 5
TOP_TITLES_DAYS = 7
SPARKLINE_DAYS = 14

_STAFF = frozenset({"librarian", "admin"})
_DAY = re.compile(r"d[0-9]{2}")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ROLE, _LATE_ROLE, _NEW = c.by_role(""), c.late_by_role(""), c.new_members("")


@dataclass(frozen=True)
class Reports:
    """All reports. Days are those of the library's time zone."""

    counters: CounterReader
    title_names: TitleNames
    aliases: MemberAliases
    calendar: Calendar
    clock: Clock

    @property
    def sums(self) -> CounterSums:
        return CounterSums(self.counters)

    def span(self, first: date | None, last: date | None) -> Span:
        """The period of a report; by default the last thirty days. Raises InvalidPeriod."""
        today = self.calendar.day(self.clock.now())
        last = last or (max(today, first) if first else today)
        first = first or last - timedelta(days=DEFAULT_SPAN_DAYS - 1)
        if first > last:
            raise InvalidPeriod("The period ends before it begins.", [("from", "is after `to`")])
        span = Span(first, last)
        if span.days > LONGEST_SPAN_DAYS:
            raise InvalidPeriod(
                f"A period has at most {LONGEST_SPAN_DAYS} days.", [("from", f"is {span.days} days before `to`")]
            )
        return span

    # -- the library as a whole ---------------------------------------------------------------

    def dashboard(self) -> s.Dashboard:
        now = self.clock.now()
        today = self.calendar.day(now)
        fortnight = Span(today - timedelta(days=SPARKLINE_DAYS - 1), today)
        days = self.sums.days(fortnight)
        due = {key.period: of.get(c.OPEN, 0) for key, of in self.counters.all_of(Kind.DUE).items()}
        week = Span(today - timedelta(days=TOP_TITLES_DAYS - 1), today)
        of_today = days[today]
        return s.Dashboard(
            as_of=to_rfc3339(now),
            today=s.Today(
                date=today,
                loans=of_today.get(c.LOANS, 0),
                returns=of_today.get(c.RETURNS, 0),
                renewals=of_today.get(c.RENEWALS, 0),
                late_returns=of_today.get(c.LATE, 0),
                active_members=of_today.get(c.ACTIVE, 0),
                new_members=_new_members(of_today),
            ),
            open_loans=sum(due.values()),
            overdue_loans=sum(number for day, number in due.items() if day < today.isoformat()),
            due_today=due.get(today.isoformat(), 0),
            holds_waiting=self.sums.now().get(c.WAITING, 0),
            top_titles=self._ranked(self.sums.by_title(week), TOP_TITLES),
            last_14_days=[
                s.DayOfLoans(date=day, loans=of.get(c.LOANS, 0), returns=of.get(c.RETURNS, 0))
                for day, of in days.items()
            ],
        )

    def trend(self, span: Span, granularity: Granularity) -> s.Trend:
        if granularity is Granularity.HOUR and span.days > LONGEST_SPAN_BY_HOUR_DAYS:
            raise InvalidPeriod(
                f"By the hour a period has at most {LONGEST_SPAN_BY_HOUR_DAYS} days.",
                [("granularity", "is too fine for the period")],
            )
        days = self.sums.days(span)
        total = sum_of(days.values())
        return s.Trend(
            from_day=span.first,
            to_day=span.last,
            granularity=granularity,
            loans=total.get(c.LOANS, 0),
            returns=total.get(c.RETURNS, 0),
            renewals=total.get(c.RENEWALS, 0),
            by_role=by_suffix(total, _ROLE),
            points=_hours(days) if granularity is Granularity.HOUR else self._points(days, span, granularity),
        )

    def _points(self, days: Mapping[date, Measures], span: Span, granularity: Granularity) -> list[s.Point]:
        grouped: dict[date, list[Measures]] = {}
        for day, measures in days.items():
            grouped.setdefault(point_of(day, granularity), []).append(measures)
        months: dict[str, int] = {}
        if granularity is Granularity.MONTH:
            whole, _ = span.in_whole_months()
            months = {key.period: of.get(c.ACTIVE, 0) for key, of in self.sums.of_months(Kind.MONTH, whole).items()}
            months = {month: months.get(month, 0) for month in whole}
        points = []
        for start, of_days in grouped.items():
            point = sum_of(of_days)
            # A member who came on two days of a week is counted on both, so the number of different members is not
            # known. The same is true for a part of a month; in a whole month each member is counted once.
            active: int | None = months.get(month_of(start))
            if granularity is Granularity.DAY:
                active = point.get(c.ACTIVE, 0)
            points.append(
                s.Point(
                    start=start.isoformat(),
                    loans=point.get(c.LOANS, 0),
                    returns=point.get(c.RETURNS, 0),
                    renewals=point.get(c.RENEWALS, 0),
                    late_returns=point.get(c.LATE, 0),
                    active_members=active,
                    member_days=point.get(c.ACTIVE, 0),
                    new_members=_new_members(point),
                )
            )
        return points

    # -- titles and genres --------------------------------------------------------------------

    def popular_titles(self, span: Span, limit: int) -> s.PopularTitles:
        items = self._ranked(self.sums.by_title(span), limit)
        return s.PopularTitles(from_day=span.first, to_day=span.last, items=items)

    def genres(self, span: Span) -> s.Genres:
        found = self.sums.by_genre(span)
        loans = sum(of.get(c.LOANS, 0) for of in found.values())
        items = [
            s.Genre(
                genre=genre,
                loans=of.get(c.LOANS, 0),
                share=ratio(of.get(c.LOANS, 0), loans),
                returns=of.get(c.RETURNS, 0),
                renewals=of.get(c.RENEWALS, 0),
                late_returns=of.get(c.LATE, 0),
                late_share=ratio(of.get(c.LATE, 0), of.get(c.RETURNS, 0)),
            )
            for genre, of in found.items()
            if any(of.values())
        ]
        items.sort(key=lambda item: (-item.loans, item.genre))
        return s.Genres(from_day=span.first, to_day=span.last, loans=loans, items=items)

    def turnover(self, span: Span) -> s.CollectionTurnover:
        held = {key.of: of for key, of in self.counters.all_of(Kind.HOLDINGS).items()}
        lent = self.sums.by_genre(span)
        items = []
        for genre in sorted({*held, *lent}):
            titles, copies = held.get(genre, {}).get(c.TITLES, 0), held.get(genre, {}).get(c.COPIES, 0)
            loans = lent.get(genre, {}).get(c.LOANS, 0)
            if titles or copies or loans:
                per_copy = ratio(loans, copies, 2)
                items.append(
                    s.Turnover(genre=genre, titles=titles, copies=copies, loans=loans, loans_per_copy=per_copy)
                )
        items.sort(key=lambda item: (-item.loans, item.genre))
        copies, loans = sum(item.copies for item in items), sum(item.loans for item in items)
        return s.CollectionTurnover(
            from_day=span.first,
            to_day=span.last,
            titles=sum(item.titles for item in items),
            copies=copies,
            loans=loans,
            loans_per_copy=ratio(loans, copies, 2),
            items=items,
        )

    def overdue_patterns(self, span: Span) -> s.OverduePatterns:
        total = sum_of(self.sums.days(span).values())
        late, returns = total.get(c.LATE, 0), total.get(c.RETURNS, 0)
        today = self.calendar.day(self.clock.now())
        out = {key.period: of.get(c.OPEN, 0) for key, of in self.counters.all_of(Kind.DUE).items()}
        overdue: dict[str, int] = {}
        for day, number in out.items():
            if (days := (today - date.fromisoformat(day)).days) > 0:
                length = c.late_by_length(days)
                overdue[length] = overdue.get(length, 0) + number
        by_genre = [
            s.LateByGenre(
                genre=genre,
                late_returns=of.get(c.LATE, 0),
                late_share=ratio(of.get(c.LATE, 0), of.get(c.RETURNS, 0)),
            )
            for genre, of in self.sums.by_genre(span).items()
            if of.get(c.LATE, 0)
        ]
        return s.OverduePatterns(
            from_day=span.first,
            to_day=span.last,
            returns=returns,
            late_returns=late,
            late_share=ratio(late, returns),
            average_days_late=ratio(total.get(c.OVERDUE_DAYS, 0), late, 2),
            overdue_now=sum(overdue.values()),
            by_weekday=[
                s.LateOnWeekday(weekday=name, late_returns=number, share=ratio(number, late))
                for place, name in enumerate(_WEEKDAYS)
                for number in [total.get(c.late_by_weekday(place), 0)]
            ],
            by_length=[
                s.LateByLength(
                    days_late=f"{low}-{high}" if high else f"{low}+",
                    late_returns=total.get(c.late_by_length(low), 0),
                    share=ratio(total.get(c.late_by_length(low), 0), late),
                    overdue_now=overdue.get(c.late_by_length(low), 0),
                )
                for low, high in c.LENGTHS
            ],
            by_role=[
                s.LateByRole(role=role, late_returns=number, share=ratio(number, late))
                for role, number in by_suffix(total, _LATE_ROLE).items()
            ],
            by_genre=sorted(by_genre, key=lambda item: (-item.late_returns, item.genre)),
        )

    # -- members ------------------------------------------------------------------------------

    def member_activity(self, user_id: str, span: Span) -> s.MemberActivity:
        alias = self.aliases.of_member(user_id)
        months = span.months()
        found = self.counters.member(alias, months) if alias else {}
        amounts = {month: found[month].amounts if month in found else {} for month in months}
        total = sum_of(amounts.values())
        returns, late = total.get(c.RETURNS, 0), total.get(c.LATE, 0)
        return s.MemberActivity(
            from_day=span_of(months[0]).first,
            to_day=span_of(months[-1]).last,
            user_id=user_id,
            loans=total.get(c.LOANS, 0),
            returns=returns,
            renewals=total.get(c.RENEWALS, 0),
            late_returns=late,
            on_time_share=ratio(returns - late, returns),
            months=[_month_of_member(month, of) for month, of in amounts.items()],
        )

    def member_history(self, user_id: str) -> s.MemberHistory:
        alias = self.aliases.of_member(user_id)
        found = self.counters.all_of_member(alias) if alias else {}
        return s.MemberHistory(
            user_id=user_id, months=[_stored_month(month, fact.amounts) for month, fact in found.items()]
        )

    def engagement(self, span: Span) -> s.Engagement:
        months = span.months()
        whole = Span(span_of(months[0]).first, span_of(months[-1]).last)
        counted = {key.period: of for key, of in self.sums.of_months(Kind.MONTH, months).items()}
        by_month: dict[str, list[Measures]] = {}
        for day, measures in self.sums.days(whole).items():
            by_month.setdefault(month_of(day), []).append(measures)
        items = []
        for month in months:
            of, sums = counted.get(month, {}), sum_of(by_month.get(month, []))
            active, loans = of.get(c.ACTIVE, 0), sums.get(c.LOANS, 0)
            bands = {
                f"{low}-{high}" if high and high > low else f"{low}{'' if high else '+'}": low for low, high in c.BANDS
            }
            items.append(
                s.MonthOfEngagement(
                    month=month,
                    active_members=active,
                    new_members=_new_members(sums),
                    loans=loans,
                    loans_per_active_member=ratio(loans, active, 2),
                    by_loans={"0": of.get(c.in_band(0), 0)}
                    | {name: of.get(c.in_band(low), 0) for name, low in bands.items()},
                )
            )
        return s.Engagement(
            from_day=whole.first, to_day=whole.last, from_month=months[0], to_month=months[-1], months=items
        )

    def holds_pressure(self, span: Span, limit: int) -> s.HoldsPressure:
        total = sum_of(self.sums.days(span).values())
        waiting = {key.of: of.get(c.WAITING, 0) for key, of in self.counters.all_of(Kind.WAITING).items()}
        items = [
            s.Pressure(
                book_id=book_id,
                title=title.title or "",
                author=title.author or "",
                waiting=number,
                copies=copies_of(title),
                waiting_per_copy=ratio(number, copies_of(title), 2),
            )
            for book_id, number, title in self._top(waiting, limit)
        ]
        return s.HoldsPressure(
            from_day=span.first,
            to_day=span.last,
            waiting=self.sums.now().get(c.WAITING, 0),
            placed=total.get(c.holds("placed"), 0),
            filled=total.get(c.holds("filled"), 0),
            expired=total.get(c.holds("expired"), 0),
            cancelled=total.get(c.holds("cancelled"), 0),
            items=items,
        )

    # -- titles and their names ---------------------------------------------------------------

    def _ranked(self, found: Mapping[str, Measures], limit: int) -> list[s.Title]:
        loans = {book_id: of.get(c.LOANS, 0) for book_id, of in found.items()}
        return [
            s.Title(
                rank=place,
                book_id=book_id,
                title=title.title or "",
                author=title.author or "",
                genre=title.genre or UNKNOWN,
                loans=number,
                renewals=found[book_id].get(c.RENEWALS, 0),
            )
            for place, (book_id, number, title) in enumerate(self._top(loans, limit), 1)
        ]

    def _top(self, numbers: Mapping[str, int], limit: int) -> list[tuple[str, int, TitleFact]]:
        """The titles with the highest numbers. Equal ones are sorted by id, so that a list is always the same."""
        top = sorted((pair for pair in numbers.items() if pair[1] > 0), key=lambda pair: (-pair[1], pair[0]))[:limit]
        book_ids = [book_id for book_id, _ in top]
        known = self.title_names.complete(self.counters.titles(book_ids), book_ids)
        return [(book_id, number, known.get(book_id, TitleFact())) for book_id, number in top]


def _hours(days: Mapping[date, Measures]) -> list[s.Point]:
    not_counted = dict.fromkeys(set(s.Point.model_fields) - {"start", "loans"})
    return [
        s.Point(start=f"{day.isoformat()}T{hour:02d}", loans=of.get(c.at_hour(hour), 0), **not_counted)
        for day, of in days.items()
        for hour in range(24)
    ]


def _new_members(measures: Measures) -> int:
    """Members who joined, without staff."""
    return sum(number for role, number in by_suffix(measures, _NEW).items() if role not in _STAFF)


def _month_of_member(month: str, amounts: Mapping[str, int]) -> s.MonthOfMember:
    return s.MonthOfMember(
        month=month,
        loans=amounts.get(c.LOANS, 0),
        returns=amounts.get(c.RETURNS, 0),
        renewals=amounts.get(c.RENEWALS, 0),
        late_returns=amounts.get(c.LATE, 0),
    )


def _stored_month(month: str, amounts: Mapping[str, int]) -> s.StoredMonth:
    days = {measure[1:]: acts for measure, acts in sorted(amounts.items()) if _DAY.fullmatch(measure)}
    return s.StoredMonth(**_month_of_member(month, amounts).model_dump(), days=days)
