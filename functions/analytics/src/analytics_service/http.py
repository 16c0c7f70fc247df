"""The HTTP API of analytics: the status of each refusal, and the routes."""

from collections.abc import Callable

from analytics_service import bootstrap
from analytics_service.application.reports import Reports
from analytics_service.domain import errors
from analytics_service.routes import reports
from library_common.http import ServiceApi

DESCRIPTION = "Statistics of the library, as JSON or CSV. They follow events within seconds."
PROBLEMS: dict[type[Exception], int] = {
    errors.InvalidPeriod: 422,
    errors.PeriodTooBusy: 422,
    errors.MemberNotFound: 404,
}


def build(provide: Callable[[], Reports]) -> ServiceApi:
    """The API on the reports that `provide` returns; it is called for each request, not before the first."""
    api = ServiceApi(name="analytics", title="Smart Library: analytics", description=DESCRIPTION, problems=PROBLEMS)
    api.publish_openapi("/api/analytics/openapi.json")
    reports.declare(api, provide)
    return api


api = build(bootstrap.reports)
handler = api
