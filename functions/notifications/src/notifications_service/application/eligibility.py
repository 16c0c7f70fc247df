"""Which of the due deliveries may go out now. The others are dropped, sent by another channel or put back."""

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from library_common.clock import Clock
from library_common.versions import VersionConflict
from notifications_service.application.delivery_outcomes import DeliveryOutcomes, Turn, begun
from notifications_service.application.ports import DeliveryStore, Loans, ServiceUnavailable
from notifications_service.domain.deliveries import CHECK_WITHIN, Delivery
from notifications_service.domain.kinds import Kind, Urgency
from notifications_service.domain.timing import FirstAllowed

ABOUT_OPEN_LOANS = frozenset({Kind.LOAN_DUE_SOON, Kind.LOAN_OVERDUE})
"""Kinds that are pointless once the book is back."""

NOT_JUDGED = "not_judged"
UNKNOWN_KIND = "unknown_kind"


class UnknownKind(Exception):
    """A newer version of this service planned the delivery. There is no template for it here."""


@dataclass(frozen=True)
class Eligibility:
    """Asks the member's preferences and account, quiet hours, and loans."""

    deliveries: DeliveryStore
    loans: Loans
    outcomes: DeliveryOutcomes
    first_allowed: FirstAllowed
    zone: ZoneInfo
    clock: Clock

    def ready(self, due: Sequence[Delivery], turn: Turn) -> list[Delivery]:
        """Those that may go out now. Slow answers of loans do not use up the time in which messages can be begun: after
        a while the rest stays due for the next turn."""
        ready: list[Delivery] = []
        has_asked = False
        for delivery in sorted(due, key=lambda delivery: delivery.kind in ABOUT_OPEN_LOANS):
            asks = delivery.kind in ABOUT_OPEN_LOANS
            if asks and has_asked and self.clock.now() - turn.lease.taken_at > CHECK_WITHIN:
                break
            has_asked = has_asked or asks
            if self._may_go_or_retry(delivery, turn):
                ready.append(delivery)
        return ready

    def _may_go_or_retry(self, delivery: Delivery, turn: Turn) -> bool:
        """A delivery that cannot be checked is retried by itself, for a day, and holds up no other."""
        try:
            return self._may_go(delivery, turn)
        except UnknownKind:
            code = UNKNOWN_KIND
        except Exception as failure:  # noqa: BLE001 - whatever is wrong with this one, the others can go
            self.outcomes.log_failure("notice not judged", delivery, failure)
            code = NOT_JUDGED
        tried = begun([delivery], self.clock.now())
        try:
            self.deliveries.begin(turn.lease, tried)
        except VersionConflict:
            return False
        self.outcomes.retry(tried, code)
        return False

    def _may_go(self, delivery: Delivery, turn: Turn) -> bool:
        """Raises UnknownKind, and whatever loans answers with."""
        if delivery.kind not in Kind:
            raise UnknownKind
        now = self.clock.now()
        if not turn.allows(turn.lease.channel, delivery.kind):
            self.outcomes.not_wanted(delivery, turn)
            return False
        # Preferences may have changed since it was planned, and a late message must not come at night.
        urgency = Urgency.INSTANT if delivery.is_instant else Urgency.TIMELY
        allowed = self.first_allowed(turn.preferences, urgency, now, self.zone)
        if allowed > now:
            self.outcomes.put_back([delivery], allowed)
            return False
        loan_id, due_date = delivery.data.get("loan_id"), delivery.data.get("due_date")
        if delivery.kind not in ABOUT_OPEN_LOANS or not loan_id or not due_date:
            return True
        try:
            applies = self.loans.still_out(loan_id, due_date)
        except ServiceUnavailable:
            self.outcomes.put_back_for_a_pause([delivery])
            return False
        if not applies:
            self.outcomes.drop(delivery, "not_applicable")
        return applies
