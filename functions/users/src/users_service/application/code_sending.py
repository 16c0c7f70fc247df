"""Sending a one-time code to the account with the given address, if there is one.

A request may be delivered more than once, late, or after a newer one. A code that was sent is not sent again: the
stored code names its request. If the process dies between storing and sending, nobody has the code; the request comes
again and a new code takes its place.
"""

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from library_common.clock import Clock
from library_common.problems import TooManyRequests
from library_common.versions import VersionConflict
from users_service.application.message_templates import MessageTemplates
from users_service.application.ports import (
    Attempts,
    Codes,
    Members,
    MessageSender,
    Passwords,
    Superseded,
    Undeliverable,
)
from users_service.domain.codes import (
    DIGITS,
    LIFETIME,
    AddressNotice,
    Channel,
    Code,
    CodeRequest,
    Purpose,
    channel_for,
    reached_at,
)
from users_service.domain.model import Member

ATTEMPTS = 3
TEXT_LIMIT = "text_number"
"""The limit on text messages, by number."""


class Outcome(StrEnum):
    """The result of a request. After any of these it does not come again."""

    SENT = "sent"
    NO_ACCOUNT = "no_account"
    NOTHING_TO_PROVE = "nothing_to_prove"
    TOO_LATE = "too_late"
    SUPERSEDED = "superseded"
    UNDELIVERABLE = "undeliverable"


def random_digits() -> str:
    """A random code."""
    return f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"


@dataclass(frozen=True)
class SendCode:
    """The use case. `digits` makes a code."""

    members: Members
    codes: Codes
    passwords: Passwords
    sender: MessageSender
    templates: MessageTemplates
    attempts: Attempts
    clock: Clock
    digits: Callable[[], str] = random_digits

    def __call__(self, request: CodeRequest) -> Outcome:
        """Raises what the message sender raises, and VersionConflict for an account that others keep changing: then try
        again later.
        """
        for _ in range(ATTEMPTS - 1):
            with suppress(VersionConflict):
                return self._once(request)
        return self._once(request)

    def _once(self, request: CodeRequest) -> Outcome:
        now = self.clock.now().replace(microsecond=0)
        if now - request.requested_at >= LIFETIME:
            # The member has given up, or asked again.
            return Outcome.TOO_LATE
        user_id = self.members.holder_of(request.email_key)
        member = self.members.get(user_id) if user_id is not None else None
        if member is None or member.email_key != request.email_key:
            return Outcome.NO_ACCOUNT
        if request.purpose is Purpose.VERIFY_EMAIL and member.email_verified_at is not None:
            return Outcome.NOTHING_TO_PROVE
        channel = self._affordable(member, channel_for(member, request.purpose, request.channel))
        digits = self.digits()
        code = Code(
            user_id=member.id,
            purpose=request.purpose,
            code_hash=self.passwords.hash(digits),
            request_id=request.id,
            channel=channel,
            sent_to=reached_at(member, channel) or "",
            expires_at=now + LIFETIME,
        )
        try:
            self.codes.keep(code, member)
            self._send(member, channel, request.purpose, digits)
        except Superseded:
            return Outcome.SUPERSEDED
        except Undeliverable:
            return Outcome.UNDELIVERABLE
        self.codes.mark_sent(code)
        return Outcome.SENT

    def _affordable(self, member: Member, channel: Channel) -> Channel:
        """E-mail instead of a text message for a number over its limit: accounts may share it, and texts cost money."""
        if channel is Channel.SMS:
            try:
                self.attempts.take(TEXT_LIMIT, member.phone or "")
            except TooManyRequests:
                return Channel.EMAIL
        return channel

    def _send(self, member: Member, channel: Channel, purpose: Purpose, digits: str) -> None:
        if channel is Channel.SMS:
            assert member.phone is not None  # noqa: S101 - or `channel_for` had answered another channel
            self.sender.text(member.phone, self.templates.text(digits))
        else:
            message = self.templates.email(purpose, digits)
            self.sender.email(member.email, message.subject, message.body)


@dataclass(frozen=True)
class SendNotice:
    """Tells the old address that the account has another one. A request that is delivered twice is sent twice."""

    sender: MessageSender
    templates: MessageTemplates

    def __call__(self, notice: AddressNotice) -> Outcome:
        """Raises what the message sender raises: then try again later."""
        message = self.templates.address_changed(notice.changed_at)
        try:
            self.sender.email(notice.email, message.subject, message.body)
        except Undeliverable:
            return Outcome.UNDELIVERABLE
        return Outcome.SENT
