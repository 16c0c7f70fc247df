"""Messages that were given up: what they were, and trying them again."""

from dataclasses import dataclass

from library_common.clock import Clock
from library_common.telemetry import logger
from notifications_service.application.api_ports import FailedBy, FailedDelivery, Position
from notifications_service.application.ports import DueDelivery, Failed, Outgoing
from notifications_service.domain.deliveries import Delivery
from notifications_service.domain.errors import NoticeNotFound


@dataclass(frozen=True)
class Failures:
    """The use cases."""

    failed: Failed
    outgoing: Outgoing
    clock: Clock

    def list(self, limit: int, position: Position | None) -> tuple[list[FailedDelivery], Position | None]:
        """A page, newest first, and where to go on. Raises NoPosition."""
        page, more = self.failed.page(limit, position)
        return [_shown(delivery) for delivery in page], more

    def retry(self, delivery_id: str) -> None:
        """It is due at once, as if it never had been tried. Raises NoticeNotFound."""
        delivery = self.failed.retry(delivery_id, self.clock.now())
        if delivery is None:
            raise NoticeNotFound
        self.outgoing.put([DueDelivery(delivery.user_id, delivery.channel)])

    def retry_all(self, by: FailedBy, limit: int, position: Position | None) -> tuple[int, Position | None]:
        """See `api_ports.Failures`. May be asked twice, and by two at once: each message begins anew once."""
        page, more = self.failed.page(limit, position, since=by.since, until=by.until)
        begun = [
            delivery
            for delivery in page
            if delivery.error == by.error_code
            and by.channel in (None, delivery.channel)
            and self.failed.begin_anew(delivery, self.clock.now())
        ]
        try:
            self.outgoing.put(list(dict.fromkeys(DueDelivery(each.user_id, each.channel) for each in begun)))
        except Exception as failure:  # noqa: BLE001 - who asked has to hear where to go on
            # They are due, and the sweep finds what is due.
            logger().warning("sender not told", extra={"messages": len(begun), "failure": type(failure).__name__})
        return len(begun), more


def _shown(delivery: Delivery) -> FailedDelivery:
    assert delivery.failure_id is not None  # noqa: S101 - written together with the state
    assert delivery.failed_at is not None  # noqa: S101 - as above
    return FailedDelivery(
        id=delivery.failure_id,
        user_id=delivery.user_id,
        channel=delivery.channel,
        kind=delivery.kind,
        error_code=delivery.error or "",
        attempts=delivery.attempts,
        failed_at=delivery.failed_at,
    )
