"""What happened to a member, ready for the outbox of their account."""

from collections.abc import Iterable
from datetime import datetime

from library_common.events import Envelope, envelope_for
from users_service.domain.events import MemberEvent


def envelopes(events: Iterable[MemberEvent], at: datetime) -> list[Envelope]:
    """Each event in its envelope, about the account that it names."""
    return [envelope_for(event, subject=f"user:{event.user_id}", at=at) for event in events]
