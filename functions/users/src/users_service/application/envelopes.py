"""Puts events of members into envelopes, for the outbox in the account's item."""

from collections.abc import Iterable
from datetime import datetime

from library_common.events import Envelope, envelope_for
from users_service.domain.events import MemberEvent


def envelopes(events: Iterable[MemberEvent], at: datetime) -> list[Envelope]:
    """Each event in an envelope whose subject is the account."""
    return [envelope_for(event, subject=f"user:{event.user_id}", at=at) for event in events]
