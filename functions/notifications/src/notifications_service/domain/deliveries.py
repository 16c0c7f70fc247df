"""One message to one member by one way, from the moment it is planned.

PENDING -> SENDING -> SENT, or back to PENDING after a failure that is known to be one, or DROPPED (nobody wants it any
more, or another way took it over), or FAILED (given up; an administrator may have it tried again).

Invariants, kept by conditional writes on these states:

* Only the holder of the lease of a member and a channel moves their deliveries, and only while the lease is its own.
* SENDING is written before anything is sent. Found by the next holder of the lease, nobody knows whether it was sent:
  it is sent once more at most (`unknown` counts), so that a crash or a timeout loses nothing and repeats once at worst.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any

from notifications_service.domain.kinds import Channel, Kind, Urgency, urgency
from notifications_service.domain.reminders import AT

LEASE = timedelta(seconds=60)
"""How long a sender owns a member's channel: longer than its function may run (50 s), so that no two ever do."""

JUDGE_WITHIN = timedelta(seconds=6)
"""How long after the beginning of a turn loans is still asked about one more delivery. The rest has another turn."""

BEGIN_WITHIN = timedelta(seconds=15)
"""How long after the beginning of a turn a message may be begun: long enough for the account and for one loan to be
asked for with the longest answers, so that there is no turn in which nothing can be sent."""

LONGEST_MESSAGE = timedelta(seconds=30)
"""What a message takes at worst, with whatever is written of it. The function has at least that much left when one is
begun: it is never stopped in the middle of what it would then know nothing of."""

MOST_AT_ONCE = 40
"""Notices in one message. What is more becomes a second one."""

GIVE_UP_AFTER = timedelta(hours=24)
"""How long a delivery that fails is tried again, from the first try on."""

MOST_UNKNOWN = 1
"""How many times a delivery of which nobody knows whether it was sent is sent again."""

LONGEST_PAUSE = timedelta(hours=1)

FALL_BACK = (Channel.EMAIL, Channel.SMS, Channel.PUSH)
"""In which order ways are tried when one is refused for good."""


class State(StrEnum):
    """See above."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    DROPPED = "dropped"
    FAILED = "failed"


@dataclass(frozen=True)
class Delivery:
    """not_before: when it may go out. send_at: when it does; until then others of the same visit may join it.

    attempts: tries so far, the running one included. first_tried_at: None before the first.
    failure_id: of a FAILED one. by_hand: as of the notice.
    """

    notice_id: str
    user_id: str
    channel: Channel
    kind: Kind
    not_before: datetime
    send_at: datetime
    correlation_id: str
    data: Mapping[str, Any] = field(default_factory=dict)
    state: State = State.PENDING
    attempts: int = 0
    unknown: int = 0
    first_tried_at: datetime | None = None
    error: str | None = None
    failed_at: datetime | None = None
    failure_id: str | None = None
    by_hand: bool = False

    @property
    def urgency(self) -> Urgency:
        return urgency(self.kind)

    @property
    def is_instant(self) -> bool:
        return self.urgency is Urgency.INSTANT

    def is_given_up(self, at: datetime) -> bool:
        """Whether a try at that moment would be one too many."""
        return self.first_tried_at is not None and at - self.first_tried_at > GIVE_UP_AFTER


def tomorrow(now: datetime, zone: tzinfo) -> datetime:
    """The next day's hour for what waits for it, by the library's clock."""
    day = now.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(day, AT, tzinfo=zone).astimezone(UTC)


def pause_after(attempts: int, base: timedelta, jitter: float) -> timedelta:
    """How long to wait after so many failed tries: the base, doubled each time, up to an hour; a quarter either way.

    jitter: 0 to 1.
    """
    longest = min(LONGEST_PAUSE, base * 2.0 ** min(max(attempts - 1, 0), 16))
    return longest * (0.75 + 0.5 * jitter)
