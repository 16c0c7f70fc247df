"""One notice to one member by one channel, from planning to its end, and which of them make a message together.

PENDING -> SENDING -> SENT. After a failure that is certain, back to PENDING. DROPPED: not wanted any more, or another
channel took it over. FAILED: given up; an administrator may retry it.

Conditional writes on these states keep two invariants:

* Only the holder of the lease of a member and a channel moves their deliveries, and only while it holds the lease.
* SENDING is written before anything is sent. When the next holder finds it, the outcome is unknown. It is sent at most
  once more (`unknown` counts), so a crash or timeout loses nothing and repeats once at worst.

An instant notice is a message of its own. Everything else that may go out goes together, as soon as the first is due.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from itertools import batched
from typing import Any

from notifications_service.domain.kinds import Channel, Urgency, urgency
from notifications_service.domain.reminders import AT

LEASE = timedelta(seconds=60)
"""How long a sender owns a member's channel. Longer than its function may run (50 s), so no two ever do."""

CHECK_WITHIN = timedelta(seconds=6)
"""How long after taking the lease loans is still asked about another delivery. The rest waits for the next lease."""

BEGIN_WITHIN = timedelta(seconds=15)
"""How long after taking the lease a message may be begun. Long enough for one slow answer of users and one of loans, so
every lease can send something."""

LONGEST_MESSAGE = timedelta(seconds=30)
"""The longest a message takes, all writes included. The function has at least that much time left when it begins one,
so it is never stopped in the middle."""

MAX_NOTICES = 40
"""Notices in one message. More become a second message."""

GIVE_UP_AFTER = timedelta(hours=24)
"""How long after the first try a failing delivery is retried."""

MAX_UNKNOWN = 1
"""How many times a delivery with an unknown outcome is sent again."""

LONGEST_PAUSE = timedelta(hours=1)

FALLBACK_ORDER = (Channel.EMAIL, Channel.SMS, Channel.PUSH)
"""In which order channels are tried when one refuses for good."""


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

    channel, kind, state: as stored; a newer version of this service may have written values that this one does not
    know. attempts: tries so far, the running one included. unknown: tries whose outcome nobody knows.
    first_tried_at: None before the first. failure_id: of a FAILED one. by_hand: staff sent it.
    """

    notice_id: str
    user_id: str
    channel: str
    kind: str
    not_before: datetime
    send_at: datetime
    correlation_id: str
    data: Mapping[str, Any] = field(default_factory=dict)
    state: str = State.PENDING
    attempts: int = 0
    unknown: int = 0
    first_tried_at: datetime | None = None
    error: str | None = None
    failed_at: datetime | None = None
    failure_id: str | None = None
    by_hand: bool = False

    @property
    def is_instant(self) -> bool:
        return urgency(self.kind) is Urgency.INSTANT

    def is_due(self, now: datetime) -> bool:
        return self.state == State.SENDING or self.send_at <= now

    def is_given_up(self, at: datetime) -> bool:
        """Whether a try at that time would be one too many."""
        return self.first_tried_at is not None and at - self.first_tried_at > GIVE_UP_AFTER


@dataclass(frozen=True)
class Lease:
    """The right to send to a member by a channel for some time."""

    user_id: str
    channel: Channel
    holder: str
    until: datetime

    @property
    def taken_at(self) -> datetime:
        return self.until - LEASE


def due_together(found: Sequence[Delivery], now: datetime) -> list[Delivery]:
    """The PENDING and SENDING deliveries to send now. Instant ones alone; others take along what may go out."""
    due = [delivery for delivery in found if delivery.is_due(now)]
    if all(delivery.is_instant for delivery in due):
        return due
    return [d for d in found if d.is_due(now) or (not d.is_instant and d.not_before <= now)]


def superseded(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Those that a later delivery of the same kind about the same loan replaces."""
    latest: dict[tuple[str, str], Delivery] = {}
    for delivery in deliveries:
        subject = _subject(delivery)
        if subject is not None and (subject not in latest or _order(delivery) > _order(latest[subject])):
            latest[subject] = delivery
    return [d for d in deliveries if (subject := _subject(d)) is not None and latest[subject] is not d]


def split_into_messages(deliveries: Sequence[Delivery]) -> list[tuple[Delivery, ...]]:
    """Instant ones first, each alone; the others in the order in which they happened, `MAX_NOTICES` a message."""
    in_order = sorted(deliveries, key=lambda delivery: delivery.notice_id)
    alone = [(delivery,) for delivery in in_order if delivery.is_instant]
    together = [delivery for delivery in in_order if not delivery.is_instant]
    return [*alone, *batched(together, MAX_NOTICES, strict=False)]


def _subject(delivery: Delivery) -> tuple[str, str] | None:
    """Kind and loan; None for a delivery that nothing replaces."""
    loan_id = delivery.data.get("loan_id")
    return (delivery.kind, str(loan_id)) if loan_id else None


def _order(delivery: Delivery) -> tuple[str, str, str]:
    # Ids begin with their time. Events know whole seconds: within one second the later due date is the newer one.
    return delivery.notice_id[:10], str(delivery.data.get("due_date", "")), delivery.notice_id


def next_morning(now: datetime, zone: tzinfo) -> datetime:
    """Nine o'clock of the next day by the library's clock."""
    day = now.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(day, AT, tzinfo=zone).astimezone(UTC)


def pause_after(attempts: int, base: timedelta, jitter: float) -> timedelta:
    """The pause after so many failed tries: the base, doubled each time, up to an hour, plus or minus a quarter.

    jitter: 0 to 1.
    """
    longest = min(LONGEST_PAUSE, base * 2.0 ** min(max(attempts - 1, 0), 16))
    return longest * (0.75 + 0.5 * jitter)
