"""What librarians tell members on their own account."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from library_common.clock import Clock
from library_common.idempotency import Ticket
from notifications_service.application.api_ports import Announce, Wish
from notifications_service.domain.errors import InvalidFields
from notifications_service.domain.kinds import Kind
from notifications_service.domain.template_fields import own_fields

SENDABLE = (Kind.ANNOUNCEMENT, Kind.LOAN_DUE_SOON, Kind.LOAN_OVERDUE, Kind.HOLD_READY)
"""The others tell of something that has happened, and only its event says so."""

LONGEST_AHEAD = timedelta(days=365)


@dataclass(frozen=True)
class Sending:
    """Checks a wish against the template and the calendar before anybody works on it."""

    announce: Announce
    clock: Clock

    def send(self, wish: Wish, ticket: Ticket | None) -> tuple[str, bool]:
        """The id of the broadcast, and whether it is a repeat. Raises InvalidFields, IdempotencyKeyReused."""
        # First of all: what was right when it was asked for may not be any more, its moment above all.
        if ticket is not None and (earlier := self.announce.asked_before(ticket)) is not None:
            return earlier, True
        wrong = [*_data(wish.kind, wish.data), *self._moment(wish)]
        if wish.kind not in SENDABLE:
            wrong.append(("template", "is not sent by hand"))
        if wish.kind is not Kind.ANNOUNCEMENT and not wish.user_ids:
            wrong.append(("audience", "is for announcements; this is about one member's loan or hold"))
        if wrong:
            raise InvalidFields(*wrong)
        return self.announce.announce(wish, ticket)

    def _moment(self, wish: Wish) -> list[tuple[str, str]]:
        if wish.send_at is None:
            return []
        ahead = wish.send_at - self.clock.now()
        if ahead <= timedelta(0):
            return [("send_at", "is over; leave it out to send now")]
        return [("send_at", "is more than a year away")] if ahead > LONGEST_AHEAD else []


def _data(kind: Kind, data: Mapping[str, str]) -> list[tuple[str, str]]:
    fields = {field.name: field for field in own_fields(kind)}
    unknown = [(f"data.{name}", "is not a field of this template") for name in data if name not in fields]
    needed = [name for name, field in fields.items() if not field.optional and not data.get(name)]
    return unknown + [(f"data.{name}", "is needed") for name in needed]
