"""Nobody gets more than so many messages a day. What is beyond that waits for the next morning and is one message then.

Messages by staff have a small part of the limit, so they never use up all of it. Warnings by e-mail go past the limit;
to an address that nobody has proved to be the member's, only so many more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from library_common.problems import TooManyRequests
from notifications_service.application.delivery_outcomes import Turn
from notifications_service.application.ports import RateLimiter
from notifications_service.domain import daily_limits
from notifications_service.domain.daily_limits import BY_HAND, mailbox
from notifications_service.domain.deliveries import Delivery
from notifications_service.domain.kinds import Channel
from notifications_service.domain.preferences import WARNINGS


@dataclass(frozen=True)
class DailyLimits:
    """Counts messages with the library's rate limiter."""

    limiter: RateLimiter

    def over(self, part: Sequence[Delivery], turn: Turn) -> list[Delivery]:
        """The deliveries that have to wait. A message counts when it is first tried; a retry does not count again."""
        new = [delivery for delivery in part if delivery.first_tried_at is None]
        limit, keys = _limit_of(turn)
        if limit is None or not new:
            return []
        by_hand = [delivery for delivery in new if delivery.by_hand]
        waiting = by_hand if by_hand and not self._takes(BY_HAND[limit], keys) else []
        new = [delivery for delivery in new if delivery not in waiting]
        if not new or self._takes(limit, keys):
            return waiting
        warnings = [d for d in new if d.kind in WARNINGS and turn.lease.channel is Channel.EMAIL]
        unproved = limit == daily_limits.UNPROVED_EMAIL
        if warnings and unproved and not self._takes(daily_limits.UNPROVED_WARNING, keys):
            # The address may belong to somebody who has nothing to do with the account.
            warnings = []
        return waiting + [delivery for delivery in new if delivery not in warnings]

    def _takes(self, limit_name: str, keys: Sequence[str]) -> bool:
        try:
            for key in keys:
                self.limiter.take(limit_name, key)
        except TooManyRequests:
            return False
        return True


def _limit_of(turn: Turn) -> tuple[str | None, list[str]]:
    """The limit that this turn's message counts under, and for whom. None for no limit."""
    account = turn.account
    match turn.lease.channel:
        case Channel.EMAIL:
            if account.has_proved_email:
                return daily_limits.EMAIL, [account.id]
            # By address, too: it can be moved from account to account.
            return daily_limits.UNPROVED_EMAIL, [account.id, mailbox(account.email)]
        case Channel.SMS if account.phone is not None:
            # By number, too: several accounts may have the same.
            return daily_limits.SMS, [account.id, account.phone]
    return None, []
