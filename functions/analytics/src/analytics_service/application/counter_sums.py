"""Sums of counters over a period, as the reports need them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from analytics_service.application.ports import CounterReader
from analytics_service.domain.counters import CounterKey, Kind, Measures
from analytics_service.domain.days import Span


@dataclass(frozen=True)
class CounterSums:
    """Sums of the live generation's counters. All raise PeriodTooBusy for a period with too many counters."""

    counters: CounterReader

    def days(self, span: Span) -> dict[date, Measures]:
        """Every day of the span; a day without events has no measures."""
        found = {key.period: of for key, of in self.counters.of_days(Kind.DAY, span).items()}
        return {day: found.get(day.isoformat(), {}) for day in span.each_day()}

    def by_title(self, span: Span) -> dict[str, Measures]:
        return self._in_parts(Kind.TITLE_MONTH, Kind.TITLE_DAY, span)

    def by_genre(self, span: Span) -> dict[str, Measures]:
        return self._in_parts(Kind.GENRE_MONTH, Kind.GENRE_DAY, span)

    def _in_parts(self, by_month: Kind, by_day: Kind, span: Span) -> dict[str, Measures]:
        """Whole months from the counters of months, the remaining days from those of days."""
        months, edges = span.in_whole_months()
        parts = [self.of_months(by_month, months)]
        parts += [self.counters.of_days(by_day, edge) for edge in edges]
        sums: dict[str, dict[str, int]] = {}
        for part in parts:
            for key, measures in part.items():
                add_to(sums.setdefault(key.of, {}), measures)
        return dict(sums)

    def of_months(self, kind: Kind, months: list[str]) -> dict[CounterKey, Measures]:
        return self.counters.of_months(kind, months) if months else {}

    def now(self) -> Measures:
        return self.counters.all_of(Kind.NOW).get(CounterKey(Kind.NOW), {})


def sum_of(all_measures: Iterable[Measures]) -> dict[str, int]:
    total: dict[str, int] = {}
    for measures in all_measures:
        add_to(total, measures)
    return total


def add_to(total: dict[str, int], measures: Measures) -> None:
    for measure, amount in measures.items():
        total[measure] = total.get(measure, 0) + amount


def by_suffix(measures: Measures, prefix: str) -> dict[str, int]:
    """The measures whose names begin with `prefix`, by the rest of their names."""
    return {name.removeprefix(prefix): measures[name] for name in sorted(measures) if name.startswith(prefix)}


def ratio(part: int, whole: int, places: int = 4) -> float | None:
    """`part / whole`, rounded half to even; None if `whole` is 0. The float prints as these decimals."""
    if whole <= 0:
        return None
    return float((Decimal(part) / Decimal(whole)).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN))
