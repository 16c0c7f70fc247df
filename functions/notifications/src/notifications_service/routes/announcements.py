"""Announcements by staff."""

from collections.abc import Callable

from fastapi import Response

from library_common.access import Access
from library_common.http import CurrentCaller, IdempotencyKey, ServiceApi, mark_replayed
from library_common.idempotency import Ticket
from library_common.ids import is_id
from library_common.problems import IdempotencyKeyReused
from notifications_service.application.use_cases import UseCases
from notifications_service.domain.errors import AnnouncementDone, AnnouncementNotFound, InvalidFields
from notifications_service.schemas.announcements import Accepted, AnnouncementView, SendBody

_STAFF = Access(librarian=True)


def declare(api: ServiceApi, provide: Callable[[], UseCases]) -> None:
    """The routes on the use cases that `provide` returns."""

    @api.post("/api/notifications/send", access=_STAFF, raises=[InvalidFields, IdempotencyKeyReused], status=202)
    def send(body: SendBody, caller: CurrentCaller, key: IdempotencyKey, response: Response) -> Accepted:
        """Send something to some members, or to all of a role and a status."""
        if malformed := [index for index, user_id in enumerate(body.user_ids or ()) if not is_id(user_id)]:
            raise InvalidFields(*((f"user_ids.{index}", "is not an id") for index in malformed))
        ticket = Ticket.of(caller, "POST /api/notifications/send", key, body.model_dump_json())
        announcement_id, replayed = provide().announcements.send(body.request(caller.actor), ticket)
        mark_replayed(response, replayed)
        return Accepted(id=announcement_id)

    @api.get("/api/notifications/send/{announcement_id}", access=_STAFF, raises=[AnnouncementNotFound])
    def read_announcement(announcement_id: str) -> AnnouncementView:
        """What is sent to whom, and its progress. Kept for 90 days after its end."""
        return AnnouncementView.of(provide().announcements.find(_known(announcement_id)))

    @api.delete(
        "/api/notifications/send/{announcement_id}",
        access=_STAFF,
        raises=[AnnouncementNotFound, AnnouncementDone],
        status=204,
    )
    def cancel_announcement(announcement_id: str, caller: CurrentCaller) -> None:
        """Notify nobody else. Members who have it keep it. Cancelling twice is no error."""
        provide().announcements.cancel(_known(announcement_id), caller.actor)


def _known(announcement_id: str) -> str:
    if not is_id(announcement_id):
        raise AnnouncementNotFound
    return announcement_id
