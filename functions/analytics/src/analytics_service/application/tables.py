"""Reports as tables of text (CSV, RFC 4180), safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel

from analytics_service.application import views as v

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # noqa: RUF001 - wide ones are read as formulas, too


def table(report: BaseModel) -> str:  # noqa: PLR0911 - one line per report
    """The rows of a report, with a header: those of its list, or its figures by name where it is no list."""
    match report:
        case v.Trend():
            return _rows(v.Point, report.points)
        case v.MemberActivity():
            return _rows(v.MonthOfMember, report.months)
        case v.Engagement():
            bands = list(report.months[0].by_loans) if report.months else []
            names = [name for name in v.MonthOfEngagement.model_fields if name != "by_loans"]
            return _csv(
                [*names, *(f"members_with_{band}_loans" for band in bands)],
                ([*(getattr(m, name) for name in names), *m.by_loans.values()] for m in report.months),
            )
        case v.PopularTitles():
            return _rows(v.Title, report.items)
        case v.Genres():
            return _rows(v.Genre, report.items)
        case v.CollectionTurnover():
            return _rows(v.Turnover, report.items)
        case v.HoldsPressure():
            return _rows(v.Pressure, report.items)
        case _:
            return _csv(["figure", "value"], _figures(report.model_dump(mode="json")))


def _rows[Row: BaseModel](row: type[Row], rows: Sequence[Row]) -> str:
    names = list(row.model_fields)
    return _csv(names, ([getattr(item, name) for name in names] for item in rows))


def _figures(document: dict[str, Any], path: str = "") -> Iterable[Sequence[object]]:
    """Every figure of a nested document; an item of a list goes by its first value (`by_weekday.Monday.share`)."""
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _figures(value, f"{path}{name}.")
        elif isinstance(value, list):
            for item in value:
                first, *rest = item
                yield from _figures({key: item[key] for key in rest}, f"{path}{name}.{item[first]}.")
        else:
            yield [f"{path}{name}", value]


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula gets an apostrophe. Numbers are numbers."""
    if value is None:
        return ""
    # Where a semicolon separates, one in a title begins another cell.
    if isinstance(value, str) and any(part.startswith(_FORMULA) for part in value.split(";")):
        return f"'{value.replace(';', ',')}"
    return value
