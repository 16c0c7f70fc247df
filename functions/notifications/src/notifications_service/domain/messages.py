"""Which of a member's deliveries by one channel make a message together.

What is instant makes a message of its own, and takes nothing along: neither a visit that still goes on nor a digest.
Everything else that may go out goes together, as soon as the first of it is due.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import batched

from notifications_service.domain.deliveries import MOST_AT_ONCE, Delivery, State


def gathered(found: Sequence[Delivery], now: datetime) -> list[Delivery]:
    """Of the PENDING and SENDING ones those whose turn it is."""
    due = [delivery for delivery in found if _is_due(delivery, now)]
    if all(delivery.is_instant for delivery in due):
        return due
    return [d for d in found if _is_due(d, now) or (not d.is_instant and d.not_before <= now)]


def overtaken(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Those of which a later one says the same anew: of the same kind, about the same loan."""
    latest: dict[tuple[str, str], Delivery] = {}
    for delivery in deliveries:
        about = _about(delivery)
        if about is not None and (about not in latest or _when(delivery) > _when(latest[about])):
            latest[about] = delivery
    return [d for d in deliveries if (about := _about(d)) is not None and latest[about] is not d]


def messages_of(deliveries: Sequence[Delivery]) -> list[tuple[Delivery, ...]]:
    """Instant ones first and alone, the others in the order in which they happened."""
    in_order = sorted(deliveries, key=lambda delivery: delivery.notice_id)
    alone = [(delivery,) for delivery in in_order if delivery.is_instant]
    together = [delivery for delivery in in_order if not delivery.is_instant]
    return [*alone, *batched(together, MOST_AT_ONCE, strict=False)]


def _is_due(delivery: Delivery, now: datetime) -> bool:
    return delivery.state is State.SENDING or delivery.send_at <= now


def _about(delivery: Delivery) -> tuple[str, str] | None:
    """Kind and loan; None for what is never told anew."""
    loan_id = delivery.data.get("loan_id")
    return (delivery.kind.value, str(loan_id)) if loan_id else None


def _when(delivery: Delivery) -> tuple[str, str, str]:
    # The moment that ids begin with. Events know whole seconds: of two in one, the later date is the newer one.
    return delivery.notice_id[:10], str(delivery.data.get("due_date", "")), delivery.notice_id
