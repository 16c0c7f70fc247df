"""Sends one message: circuit breaker, daily limits, rendering, provider."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from library_common.clock import Clock
from library_common.telemetry import count
from library_common.versions import VersionConflict
from notifications_service.application.circuit_breaker import CircuitBreaker
from notifications_service.application.daily_limits import DailyLimits
from notifications_service.application.delivery_outcomes import DeliveryOutcomes, Turn, begun
from notifications_service.application.ports import (
    DeliveryStore,
    MessageSender,
    NotSent,
    Refused,
    Rendered,
    Templates,
    Unknown,
)
from notifications_service.domain.deliveries import BEGIN_WITHIN, Delivery, next_morning
from notifications_service.domain.kinds import Channel, Kind

NOT_RENDERED = "not_rendered"


@dataclass(frozen=True)
class MessageSending:
    """Sends with the lease held by the caller."""

    deliveries: DeliveryStore
    outcomes: DeliveryOutcomes
    limits: DailyLimits
    templates: Templates
    senders: Mapping[Channel, MessageSender]
    breaker: CircuitBreaker
    library_name: str
    zone: ZoneInfo
    clock: Clock

    def send(self, part: Sequence[Delivery], turn: Turn) -> str:
        """Returns the outcome."""
        now = self.clock.now()
        if self.breaker.is_open(turn.lease.channel, now):
            self.outcomes.put_back(part, now + self.breaker.pause * (1 + 0.5 * self.outcomes.jitter()))
            return "circuit_open"
        if now - turn.lease.taken_at > BEGIN_WITHIN:
            self.outcomes.put_back(part, now)
            return "out_of_time"
        over = self.limits.over(part, turn)
        self.outcomes.put_back(over, next_morning(now, self.zone))
        part = [delivery for delivery in part if delivery not in over]
        if not part:
            return "daily_limit"
        tried = begun(part, now)
        try:
            self.deliveries.begin(turn.lease, tried)
        except VersionConflict:
            return "lease_lost"
        message, rendered = self._rendered(tried, turn)
        if message is None:
            return "not_rendered"
        return self._hand_over(message, rendered, turn)

    def _hand_over(self, message: Rendered, tried: Sequence[Delivery], turn: Turn) -> str:
        channel = turn.lease.channel
        try:
            self.senders[channel].send(turn.account, message)
        except Refused as refused:
            # The provider answered, so it works.
            self.breaker.succeeded(channel)
            for delivery in tried:
                self.outcomes.refused(delivery, turn, refused.code)
            return "refused"
        except NotSent as failure:
            self.breaker.failed(channel, self.clock.now())
            self.outcomes.retry(tried, failure.code)
            return "not_sent"
        except Unknown as failure:
            self.breaker.failed(channel, self.clock.now())
            self.outcomes.unknown(tried, turn.lease, failure.code)
            return "unknown_outcome"
        self.breaker.succeeded(channel)
        self.deliveries.sent(tried, self.clock.now())
        count("NoticesSent", len(tried), channel=channel.value)
        return "sent"

    def _rendered(self, tried: list[Delivery], turn: Turn) -> tuple[Rendered | None, list[Delivery]]:
        """The message and its deliveries. Those that cannot be rendered are retried later, each by itself."""
        try:
            return self._render(tried, turn), tried
        except Exception as failure:  # noqa: BLE001 - whatever the template trips over, nothing was sent
            if len(tried) == 1:
                self._not_rendered(tried[0], failure)
                return None, []
        good = []
        for delivery in tried:
            try:
                self._render([delivery], turn)
            except Exception as failure:  # noqa: BLE001 - as above
                self._not_rendered(delivery, failure)
            else:
                good.append(delivery)
        if not good:
            return None, []
        try:
            return self._render(good, turn), good
        except Exception as failure:  # noqa: BLE001 - as above
            for delivery in good:
                self._not_rendered(delivery, failure)
            return None, []

    def _render(self, deliveries: Sequence[Delivery], turn: Turn) -> Rendered:
        always = {"library_name": self.library_name, "member_name": turn.account.name if turn.names_the_member else ""}
        return self.templates.render_many(
            [(Kind(delivery.kind), {**delivery.data, **always}) for delivery in deliveries],
            turn.lease.channel,
            turn.preferences.language or turn.account.language,
        )

    def _not_rendered(self, delivery: Delivery, failure: Exception) -> None:
        self.outcomes.log_failure("notice not rendered", delivery, failure)
        self.outcomes.retry([delivery], NOT_RENDERED)
