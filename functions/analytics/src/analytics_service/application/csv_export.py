"""Reports as CSV (RFC 4180), safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel

from analytics_service import schemas as s

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # noqa: RUF001 - wide characters are read as formulas too


def to_csv(report: BaseModel) -> str:  # noqa: PLR0911 - one line per report
    """A header, and the rows of the report's list; for a report without a list, its values by name."""
    match report:
        case s.Trend():
            return _rows(s.Point, report.points)
        case s.MemberActivity():
            return _rows(s.MonthOfMember, report.months)
        case s.Engagement():
            bands = list(report.months[0].by_loans) if report.months else []
            names = [name for name in s.MonthOfEngagement.model_fields if name != "by_loans"]
            return _csv(
                [*names, *(f"members_with_{band}_loans" for band in bands)],
                ([*(getattr(m, name) for name in names), *m.by_loans.values()] for m in report.months),
            )
        case s.PopularTitles():
            return _rows(s.Title, report.items)
        case s.Genres():
            return _rows(s.Genre, report.items)
        case s.CollectionTurnover():
            return _rows(s.Turnover, report.items)
        case s.HoldsPressure():
            return _rows(s.Pressure, report.items)
        case _:
            return _csv(["figure", "value"], _values(report.model_dump(mode="json")))


def _rows[Row: BaseModel](row: type[Row], rows: Sequence[Row]) -> str:
    names = list(row.model_fields)
    return _csv(names, ([getattr(item, name) for name in names] for item in rows))


def _values(document: dict[str, Any], path: str = "") -> Iterable[Sequence[object]]:
    """Every value of a nested document. An item of a list is named by its first value (`by_weekday.Monday.share`)."""
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _values(value, f"{path}{name}.")
        elif isinstance(value, list):
            for item in value:
                first, *rest = item
                yield from _values({key: item[key] for key in rest}, f"{path}{name}.{item[first]}.")
        else:
            yield [f"{path}{name}", value]


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: object) -> object:
    """Text that a spreadsheet would read as a formula gets an apostrophe."""
    if value is None:
        return ""
    # Some spreadsheets separate cells by semicolons.
    if isinstance(value, str) and any(part.startswith(_FORMULA) for part in value.split(";")):
        return f"'{value.replace(';', ',')}"
    return value
