"""Messages that were given up."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Query

from library_common.access import Access
from library_common.http import ListQuery, ServiceApi
from library_common.ids import is_id
from library_common.paging import Cursors, Page
from notifications_service.application.ports import NoPosition
from notifications_service.application.use_cases import UseCases
from notifications_service.domain.errors import NoticeNotFound
from notifications_service.routes.common import damaged_cursor
from notifications_service.schemas.failures import FailedView, Retried, RetriedAll, RetryAllBody

_ADMIN = Access(admin=True)


def declare(api: ServiceApi, provide: Callable[[], UseCases]) -> None:
    """The routes on the use cases that `provide` returns."""

    @api.get("/api/notifications/failed", access=_ADMIN)
    def list_failed(query: Annotated[ListQuery, Query()]) -> Page[FailedView]:
        """Messages that were given up, newest first."""
        cursors = Cursors({"failed": True})
        try:
            failed, after = provide().failures.list(query.limit, cursors.decode(query.cursor))
        except NoPosition:
            raise damaged_cursor() from None
        return Page(items=[FailedView.of(each) for each in failed], next_cursor=cursors.encode(after))

    @api.post("/api/notifications/failed/retry", access=_ADMIN, status=202)
    def retry_all(body: RetryAllBody) -> RetriedAll:
        """Retry the messages that failed for one reason, newest first. One request looks at `limit` failed messages;
        repeat it with `next_cursor` until that is null. Sent twice, each message begins anew once."""
        cursors = Cursors({"retried": body.model_dump(mode="json", exclude={"limit", "cursor"})})
        try:
            retried, after = provide().failures.retry_all(body.which(), body.limit, cursors.decode(body.cursor))
        except NoPosition:
            raise damaged_cursor() from None
        return RetriedAll(retried=retried, next_cursor=cursors.encode(after))

    @api.post("/api/notifications/failed/{notification_id}/retry", access=_ADMIN, raises=[NoticeNotFound], status=202)
    def retry(notification_id: str) -> Retried:
        """Retry one message from the beginning."""
        if not is_id(notification_id):
            raise NoticeNotFound
        provide().failures.retry(notification_id)
        return Retried(id=notification_id)
