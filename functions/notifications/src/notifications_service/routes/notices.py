"""Notices there are: members' lists, what librarians send, what did not get through."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Query, Response

from library_common.access import Access
from library_common.clock import to_rfc3339
from library_common.http import CurrentCaller, IdempotencyKey, ListQuery, ServiceApi, mark_replayed
from library_common.idempotency import Ticket
from library_common.ids import is_id
from library_common.paging import Cursors, Page
from library_common.problems import FieldError, IdempotencyKeyReused, InvalidRequest
from notifications_service.application.api_ports import NoPosition, Wish
from notifications_service.application.use_cases import NoticeCases
from notifications_service.domain.errors import (
    AnnouncementDone,
    AnnouncementNotFound,
    InvalidFields,
    NoticeNotFound,
)
from notifications_service.domain.kinds import Kind
from notifications_service.shapes import (
    Accepted,
    AnnouncementView,
    FailedView,
    NoticePage,
    NoticesQuery,
    NoticeView,
    Retried,
    RetriedAll,
    RetryAllBody,
    SendBody,
)

_OWN = Access(member=True, own="path:user_id")


def declare(api: ServiceApi, provide: Callable[[], NoticeCases]) -> None:
    """The routes on the use cases that `provide` answers."""

    @api.get("/api/notifications/user/{user_id}", access=_OWN)
    def list_notices(user_id: str, query: Annotated[NoticesQuery, Query()]) -> NoticePage:
        """A member's notices, newest first, and how many are unread."""
        if not is_id(user_id):
            return NoticePage(items=[], unread=0)
        cursors = Cursors({"notices_of": user_id, "unread": query.unread})
        try:
            notices, after, unread = provide().reading.page(
                user_id, query.limit, cursors.decode(query.cursor), unread_only=query.unread
            )
        except NoPosition:
            raise _damaged() from None
        return NoticePage(
            items=[NoticeView.of(notice) for notice in notices], next_cursor=cursors.encode(after), unread=unread
        )

    @api.post(
        "/api/notifications/user/{user_id}/{notification_id}/read", access=_OWN, raises=[NoticeNotFound], status=204
    )
    def mark_read(user_id: str, notification_id: str) -> None:
        """Note that the member has read it. Once is enough; the first time counts."""
        if not (is_id(user_id) and is_id(notification_id)):
            raise NoticeNotFound
        provide().inbox.mark_read(user_id, notification_id)

    @api.post(
        "/api/notifications/send",
        access=Access(librarian=True),
        raises=[InvalidFields, IdempotencyKeyReused],
        status=202,
    )
    def send(body: SendBody, caller: CurrentCaller, key: IdempotencyKey, response: Response) -> Accepted:
        """Tell something to some members, or to all of a role and a status."""
        audience = body.audience
        wish = Wish(
            kind=Kind(body.template),
            data=body.data.plain(),
            by=caller.actor,
            user_ids=tuple(dict.fromkeys(body.user_ids or ())),
            role=audience.role.value if audience is not None and audience.role is not None else None,
            status=audience.status if audience is not None else None,
            channels=tuple(dict.fromkeys(body.channels)) if body.channels is not None else None,
            send_at=body.send_at,
        )
        if malformed := [index for index, user_id in enumerate(body.user_ids or ()) if not is_id(user_id)]:
            raise InvalidFields(*((f"user_ids.{index}", "is not an id") for index in malformed))
        ticket = Ticket.of(caller, "POST /api/notifications/send", key, body.model_dump_json())
        broadcast, replayed = provide().sending.send(wish, ticket)
        mark_replayed(response, replayed)
        return Accepted(id=broadcast)

    @api.get("/api/notifications/send/{announcement_id}", access=Access(librarian=True), raises=[AnnouncementNotFound])
    def read_announcement(announcement_id: str) -> AnnouncementView:
        """What was to be told to whom, and how far it is. Kept for 90 days after its end."""
        return AnnouncementView.of(provide().announcements.find(_announcement(announcement_id)))

    @api.delete(
        "/api/notifications/send/{announcement_id}",
        access=Access(librarian=True),
        raises=[AnnouncementNotFound, AnnouncementDone],
        status=204,
    )
    def cancel_announcement(announcement_id: str, caller: CurrentCaller) -> None:
        """Tell it to nobody else. Whom it was told already keeps it; cancelling twice is no error."""
        provide().announcements.cancel(_announcement(announcement_id), caller.actor)

    @api.get("/api/notifications/failed", access=Access(admin=True))
    def list_failed(query: Annotated[ListQuery, Query()]) -> Page[FailedView]:
        """Messages that were given up, newest first."""
        cursors = Cursors({"failed": True})
        try:
            failed, after = provide().failures.list(query.limit, cursors.decode(query.cursor))
        except NoPosition:
            raise _damaged() from None
        items = [
            FailedView(
                id=each.id,
                user_id=each.user_id,
                kind=each.kind,
                channel=each.channel,
                attempts=each.attempts,
                error_code=each.error_code,
                failed_at=to_rfc3339(each.failed_at),
            )
            for each in failed
        ]
        return Page(items=items, next_cursor=cursors.encode(after))

    @api.post("/api/notifications/failed/retry", access=Access(admin=True), status=202)
    def retry_all(body: RetryAllBody) -> RetriedAll:
        """Try again what failed for a reason, newest first. One request looks at `limit` failed messages; go on with
        `next_cursor` until it is null. Asked twice, a message begins anew once."""
        which = body.which()
        cursors = Cursors({"retried": body.model_dump(mode="json", exclude={"limit", "cursor"})})
        try:
            retried, after = provide().failures.retry_all(which, body.limit, cursors.decode(body.cursor))
        except NoPosition:
            raise _damaged() from None
        return RetriedAll(retried=retried, next_cursor=cursors.encode(after))

    @api.post(
        "/api/notifications/failed/{notification_id}/retry",
        access=Access(admin=True),
        raises=[NoticeNotFound],
        status=202,
    )
    def retry(notification_id: str) -> Retried:
        """Try it again from the beginning."""
        if not is_id(notification_id):
            raise NoticeNotFound
        provide().failures.retry(notification_id)
        return Retried(id=notification_id)


def _announcement(announcement_id: str) -> str:
    if not is_id(announcement_id):
        raise AnnouncementNotFound
    return announcement_id


def _damaged() -> InvalidRequest:
    return InvalidRequest("The cursor is damaged.", errors=[FieldError("cursor", "damaged")])
