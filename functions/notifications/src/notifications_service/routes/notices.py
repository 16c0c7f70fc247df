"""A member's list of notices."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Query

from library_common.http import ServiceApi
from library_common.ids import is_id
from library_common.paging import Cursors
from notifications_service.application.ports import NoPosition
from notifications_service.application.use_cases import UseCases
from notifications_service.domain.errors import NoticeNotFound
from notifications_service.routes.common import OWN, damaged_cursor
from notifications_service.schemas.notices import NoticePage, NoticesQuery, NoticeView


def declare(api: ServiceApi, provide: Callable[[], UseCases]) -> None:
    """The routes on the use cases that `provide` returns."""

    @api.get("/api/notifications/user/{user_id}", access=OWN)
    def list_notices(user_id: str, query: Annotated[NoticesQuery, Query()]) -> NoticePage:
        """A member's notices, newest first, and how many are unread."""
        if not is_id(user_id):
            return NoticePage(items=[], unread=0)
        cursors = Cursors({"notices_of": user_id, "unread": query.unread})
        try:
            notices, after, unread = provide().inbox.page(
                user_id, query.limit, cursors.decode(query.cursor), unread_only=query.unread
            )
        except NoPosition:
            raise damaged_cursor() from None
        return NoticePage(
            items=[NoticeView.of(notice) for notice in notices], next_cursor=cursors.encode(after), unread=unread
        )

    @api.post(
        "/api/notifications/user/{user_id}/{notification_id}/read", access=OWN, raises=[NoticeNotFound], status=204
    )
    def mark_read(user_id: str, notification_id: str) -> None:
        """Mark a notice as read. Repeating it keeps the time of the first call."""
        if not (is_id(user_id) and is_id(notification_id)):
            raise NoticeNotFound
        provide().inbox.mark_read(user_id, notification_id)
