"""Asking for a one-time code: counted and put on a queue, and nothing else.

Whether there is an account is found out later and elsewhere (`code_sending`), so that an answer cannot tell it:
neither by what it says nor by how long it takes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from library_common.clock import Clock
from library_common.context import current
from library_common.ids import new_id
from library_common.telemetry import count, logger
from users_service.application.ports import Attempts, CodeRequests, EmailKey
from users_service.domain.codes import Channel, CodeRequest, Purpose
from users_service.domain.notices import AddressNotice

ASKING = "reset_account"
"""The limit on codes that are asked for, by address; verification counts with resets, both fill the same mailbox."""

TELLING = "notice_account"
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
        """Raises TooManyRequests. Does the same whether or not there is an account."""
        key = self.email_key(email)
        self.attempts.take(ASKING, key)
        self.put(purpose, key, channel)

    def put(self, purpose: Purpose, email_key: str, channel: Channel = Channel.EMAIL) -> None:
        """The library itself asks, for an account that is there; nobody's attempts are counted."""
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

    def after_a_move(self, old_email: str, old_key: str, new_key: str) -> None:
        """Another address was set: the new one is to be proved, and whoever reads the old one hears of it."""
        self.verification_if_possible(new_key)
        with _if_possible("AddressNoticeNotSent"):
            # Not the limit on codes: whoever asks for some first must not keep the old address from hearing of it.
            self.attempts.take(TELLING, old_key)
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
            self.attempts.take(ASKING, email_key)
            self.put(Purpose.VERIFY_EMAIL, email_key)


@contextmanager
def _if_possible(metric: str) -> Iterator[None]:
    """For messages: what led to them has happened, and stands if they cannot be asked for. Within the limit, too:
    whose address is given again and again, by whomever, is not written to without end.
    """
    try:
        yield
    except Exception as exc:  # noqa: BLE001 - whatever it was, it is the message that is missing and nothing else
        logger().warning("no message was asked for", extra={"error": type(exc).__name__})
        count(metric, service="users")
