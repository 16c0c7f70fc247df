"""The HTTP API: who may ask what, how periods and formats are asked for."""

from typing import Any

import pytest

from analytics_service.http import build
from library_common.http import ServiceApi
from library_common.ids import new_id
from tests.fakes.analytics import Counting, created
from tests.support.lambda_events import Answer, api_event, call, person, service

pytestmark = pytest.mark.unit

MEMBER = new_id()
PATHS = (
    "dashboard",
    "borrowing-trends",
    "popular-books",
    "genres",
    "overdue-patterns",
    "collection-turnover",
    "engagement",
    "holds-pressure",
)


@pytest.fixture
def api() -> ServiceApi:
    counting = Counting()
    counting.apply_events.apply([created("L1", "2026-11-03T09:00:00Z", "2026-11-17T20:59:59Z", user=MEMBER)])
    return build(lambda: counting.reports)


def ask(api: ServiceApi, path: str, *, caller: dict[str, str] | None = None, accept: str = "*/*") -> Answer:
    caller = caller or person(new_id(), "librarian")
    return call(api, api_event("GET", f"/api/analytics/{path}", caller=caller, headers={"Accept": accept}))


@pytest.mark.parametrize("path", PATHS)
def test_reports_are_for_librarians(api: ServiceApi, path: str) -> None:
    assert ask(api, path).status == 200
    assert ask(api, path, caller=person(MEMBER)).status == 403


def test_members_see_what_they_did_and_nobody_else_s(api: ServiceApi) -> None:
    own = ask(api, f"member-activity/{MEMBER}", caller=person(MEMBER))

    assert (own.status, own.json["loans"]) == (200, 1)
    assert ask(api, f"member-activity/{new_id()}", caller=person(MEMBER)).status == 404
    assert ask(api, f"member-activity/{MEMBER}").json["loans"] == 1


def test_what_is_kept_of_a_member_is_for_the_archive(api: ServiceApi) -> None:
    users = service("users", "analytics:read")

    kept = ask(api, f"export/{MEMBER}", caller=users)

    assert (kept.status, kept.json["user_id"]) == (200, MEMBER)
    assert [(month["month"], month["loans"], month["days"]) for month in kept.json["months"]] == [
        ("2026-11", 1, {"03": 1})
    ]
    assert ask(api, f"export/{new_id()}", caller=users).json["months"] == []
    assert ask(api, "export/nobody", caller=users).status == 404
    for caller in (person(MEMBER), person(new_id(), "admin"), service("loans", "loans:read")):
        assert ask(api, f"export/{MEMBER}", caller=caller).status == 403


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=2026-11-02&to=2026-11-01", "from"),
        ("from=2020-01-01&to=2026-11-01", "from"),
        ("from=1700000000", "from"),
        ("to=2026-02-30", "to"),
        ("to=0001-01-01", "to"),
        ("since=2026-11-01", "since"),
        ("granularity=decade", "granularity"),
        ("granularity=hour&from=2026-01-01&to=2026-11-01", "granularity"),
        ("format=pdf", "format"),
    ],
)
def test_what_cannot_be_answered_names_the_parameter(api: ServiceApi, query: str, field: str) -> None:
    answer = ask(api, f"borrowing-trends?{query}")

    assert answer.status == 422
    assert field in [error["field"] for error in answer.json["errors"]]


@pytest.mark.parametrize(
    ("query", "accept", "csv"),
    [
        ("", "*/*", False),
        ("", "text/csv", True),
        ("", "text/csv, */*;q=0.1", True),
        ("", "application/json, text/csv", False),
        ("", "application/json;q=0.5, text/csv;q=0.9", True),
        ("", "text/csv;q=0", False),
        ("?format=csv", "application/json", True),
        ("?format=json", "text/csv", False),
    ],
)
def test_format_wins_over_accept(api: ServiceApi, query: str, accept: str, csv: bool) -> None:
    event = api_event(
        "GET",
        f"/api/analytics/genres{query}",
        caller=person(new_id(), "librarian"),
        headers={"Accept": accept},
    )
    answer = api(event, None)

    content_type = answer["multiValueHeaders"].get("content-type") or [answer["headers"].get("content-type")]
    assert content_type == ["text/csv; charset=utf-8" if csv else "application/json"]
    assert answer["body"].startswith("\ufeffgenre,loans,share") == csv
    assert not answer["isBase64Encoded"]


def as_table(api: ServiceApi, path: str) -> Any:
    return api(api_event("GET", f"/api/analytics/{path}format=csv", caller=person(new_id(), "librarian")), None)


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("popular-books?from=2026-10-24&to=2026-11-22&", "popular-books-2026-10-24-2026-11-22.csv"),
        (f"member-activity/{MEMBER}?from=2026-10-24&to=2026-11-22&", "member-activity-2026-10-01-2026-11-30.csv"),
        ("dashboard?", "dashboard-2026-11-21.csv"),
    ],
    ids=["of a period", "of a member", "of now"],
)
def test_a_table_is_a_file_that_spreadsheets_read_as_utf_8(api: ServiceApi, path: str, file: str) -> None:
    answer = as_table(api, path)

    assert answer["headers"]["content-disposition"] == f'attachment; filename="{file}"'
    assert answer["body"].startswith("\ufeff")


def test_a_genre_nobody_knows_is_called_the_same_everywhere(api: ServiceApi) -> None:
    period = "from=2026-11-01&to=2026-11-30"
    reports = ("popular-books", "genres", "collection-turnover")

    assert {ask(api, f"{report}?{period}").json["items"][0]["genre"] for report in reports} == {"unknown"}
    tables = [as_table(api, f"{report}?{period}&")["body"] for report in reports]
    assert all("unknown" in table for table in tables)
