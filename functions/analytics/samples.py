"""Sample invocations of analytics: `make events` writes them to events/invoke."""

from typing import Any

from tools.sample_events import (
    AS_LIBRARIAN,
    AS_MEMBER,
    AS_USERS,
    MEMBER,
    NO_FAILURES,
    Samples,
    on_the_bus,
    queue,
    request,
    scheduled,
)

NO_REBUILD: dict[str, Any] = {"live": 1, "building": None, "previous": None, "dropping": []}


def analytics() -> Samples:
    """Reports."""
    base = "/api/analytics"
    november = {"from": "2026-11-01", "to": "2026-11-30"}
    yield "dashboard", 200, request("GET", f"{base}/dashboard", AS_LIBRARIAN)
    yield "dashboard_as_member", 403, request("GET", f"{base}/dashboard", AS_MEMBER)
    yield (
        "trends",
        200,
        request("GET", f"{base}/borrowing-trends", AS_LIBRARIAN, query={**november, "granularity": "week"}),
    )
    yield "popular", 200, request("GET", f"{base}/popular-books", AS_LIBRARIAN, query={**november, "limit": "5"})
    yield "genres_as_csv", 200, request("GET", f"{base}/genres", AS_LIBRARIAN, query={**november, "format": "csv"})
    yield (
        "activity",
        200,
        request("GET", f"{base}/member-activity/{{user_id}}", AS_MEMBER, path={"user_id": MEMBER}, query=november),
    )
    yield "export", 200, request("GET", f"{base}/export/{{user_id}}", AS_USERS, path={"user_id": MEMBER})
    yield "period_refused", 422, request("GET", f"{base}/engagement", AS_LIBRARIAN, query={"from": "2020-01-01"})


def analytics_consumer() -> Samples:
    """Events on their way into the statistics."""
    loan = [on_the_bus("loans", kind) for kind in ("LoanReturned", "LoanCreated", "LoanRenewed", "LoanCreated")]
    # Its events in the wrong order, one of them twice.
    yield "a_loan", NO_FAILURES, queue("AnalyticsQueue", *loan, on_the_bus("books", "BookAdded"))
    # Moves to the dead-letter queue; the other is counted.
    yield "one_misread", NO_FAILURES, queue("AnalyticsQueue", "not JSON", on_the_bus("loans", "LoanCreated"))


def analytics_rebuild() -> Samples:
    """What an operator asks of the statistics."""
    yield "status_of_rebuild", NO_REBUILD, {"action": "status"}
    yield "begin_rebuild", {**NO_REBUILD, "building": 2}, {"action": "begin"}
    # Nothing is being built.
    yield "finish_refused", {"refused": "No generation is being built."}, {"action": "finish"}
    yield "nightly_cleaning", {**NO_REBUILD, "deleted": 0}, scheduled("nightly", "2026-11-22T02:23:00Z")


FUNCTIONS = {
    "AnalyticsFunction": analytics,
    "AnalyticsConsumer": analytics_consumer,
    "AnalyticsRebuild": analytics_rebuild,
}
