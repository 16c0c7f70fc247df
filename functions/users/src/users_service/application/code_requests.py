"""Requests for one-time codes: counted and put on a queue, and nothing else.

Whether there is an account is looked up later (`code_sending`), so neither the answer nor its time can tell.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from library_common.clock import Clock
from library_common.context import current
from library_common.ids import new_id
from library_common.telemetry import count, logger
from users_service.application.ports import Attempts, CodeRequests, EmailKey
from users_service.domain.codes import AddressNotice, Channel, CodeRequest, Purpose

CODE_LIMIT = "reset_account"
"""The limit on requests for codes, by address. Both purposes count together: they fill the same mailbox."""

NOTICE_LIMIT = "notice_account"
"""The limit on notices, by the address they go to."""


@dataclass(frozen=True)
class AskForCode:
    """The use case. `ids` makes the id of a request."""

    requests: CodeRequests
    attempts: Attempts
    email_key: EmailKey
    clock: Clock
    ids: Callable[[], str] = new_id

    def __call__(self, purpose: Purpose, email: str, channel: Channel = Channel.EMAIL) -> None:
        """Raises TooManyRequests. Does the same with and without an account."""
        key = self.email_key(email)
        self.attempts.take(CODE_LIMIT, key)
        self.put(purpose, key, channel)

    def put(self, purpose: Purpose, email_key: str, channel: Channel = Channel.EMAIL) -> None:
        """A request of the library itself, for an account that exists; it does not count as an attempt."""
        self.requests.put(
            CodeRequest(
                id=self.ids(),
                purpose=purpose,
                email_key=email_key,
                channel=channel,
                requested_at=self.clock.now(),
                correlation_id=current().correlation_id,
            )
        )

    def after_email_change(self, old_email: str, old_key: str, new_key: str) -> None:
        """Asks for a code that proves the new address, and for a notice to the old one."""
        self.verification_if_possible(new_key)
        with _if_possible("AddressNoticeNotSent"):
            # A limit of its own: requests for codes must not use up the notice to the old address.
            self.attempts.take(NOTICE_LIMIT, old_key)
            self.requests.put_notice(
                AddressNotice(
                    id=self.ids(),
                    email=old_email,
                    changed_at=self.clock.now(),
                    correlation_id=current().correlation_id,
                )
            )

    def verification_if_possible(self, email_key: str) -> None:
        """Asks for a code that proves a new address. If it fails, the member asks again
        (`/api/auth/verify-email/resend`).
        """
        with _if_possible("VerificationNotRequested"):
            self.attempts.take(CODE_LIMIT, email_key)
            self.put(Purpose.VERIFY_EMAIL, email_key)


@contextmanager
def _if_possible(counter: str) -> Iterator[None]:
    """For messages after a change that has been made: it stands even if they cannot be requested or are over the
    limit.
    """
    try:
        yield
    except Exception as exc:  # noqa: BLE001 - whatever it was, only the message is missing
        logger().warning("a message could not be requested", extra={"error": type(exc).__name__})
        count(counter)
