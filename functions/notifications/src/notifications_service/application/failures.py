"""Messages that were given up: listing and retrying them."""

from dataclasses import dataclass
from datetime import datetime

from library_common.clock import Clock
from library_common.telemetry import logger
from notifications_service.application.ports import DueDelivery, FailedDeliveries, Position, TaskQueue
from notifications_service.domain.deliveries import Delivery
from notifications_service.domain.errors import NoticeNotFound
from notifications_service.domain.kinds import Channel


@dataclass(frozen=True)
class FailedBy:
    """Messages that were given up for this reason. channel: None for any.

    since, until: of `failed_at`, `since` included and `until` not; None for no bound.
    """

    error_code: str
    channel: Channel | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Failures:
    """The use cases."""

    failed: FailedDeliveries
    queue: TaskQueue
    clock: Clock

    def list(self, limit: int, position: Position | None) -> tuple[list[Delivery], Position | None]:
        """A page, newest first, and where to go on. Raises NoPosition."""
        return self.failed.page(limit, position)

    def retry(self, failure_id: str) -> None:
        """Due at once, as if it had never been tried. Raises NoticeNotFound."""
        delivery = self.failed.retry(failure_id, self.clock.now())
        if delivery is None:
            raise NoticeNotFound
        self.queue.put(_tasks([delivery]))

    def retry_all(self, by: FailedBy, limit: int, position: Position | None) -> tuple[int, Position | None]:
        """Retries those of the next `limit` failed messages that failed for this reason, newest first.

        Returns how many, and where to go on; None at the end. What fails again meanwhile is newer, so this ends. Two
        may do it at once: each message begins anew once. Raises NoPosition.
        """
        page, more = self.failed.page(limit, position, since=by.since, until=by.until)
        begun = [
            delivery
            for delivery in page
            if delivery.error == by.error_code
            and by.channel in (None, delivery.channel)
            and self.failed.begin_anew(delivery, self.clock.now())
        ]
        try:
            self.queue.put(_tasks(begun))
        except Exception as failure:  # noqa: BLE001 - the caller has to learn where to go on
            # The sweep finds what is due.
            logger().warning("tasks not queued", extra={"messages": len(begun), "failure": type(failure).__name__})
        return len(begun), more


def _tasks(deliveries: list[Delivery]) -> list[DueDelivery]:
    """One per member and channel. Channels unknown here are left to the sweep of the version that knows them."""
    known = [(each.user_id, Channel(each.channel)) for each in deliveries if each.channel in Channel]
    return [DueDelivery(user_id, channel) for user_id, channel in dict.fromkeys(known)]
