"""What the use cases need from outside."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from library_common.events import Envelope
from library_common.idempotency import Ticket
from users_service.domain.codes import Code, CodeRequest, Purpose
from users_service.domain.directory import Filters, Place
from users_service.domain.model import Member

type EmailKey = Callable[[str], str]
"""What makes an e-mail address unique. Raises ValueError for what is no address."""

type VersionCheck = Callable[[int], None]
"""Raises when the client did not mean this version of the thing."""


class AlreadyAnswered(Exception):
    """The same request, by its idempotency key, had its effect before. `answer`: what it was answered, as JSON."""

    def __init__(self, answer: str) -> None:
        super().__init__("answered before")
        self.answer = answer


class ChangedMeanwhile(Exception):
    """Somebody else changed the member after it was read; nothing was written."""


class Members(Protocol):
    """The members, and which e-mail address belongs to whom."""

    def get(self, user_id: str) -> Member | None:
        """As of now: never an older state."""
        ...

    def holder_of(self, email_key: str) -> str | None:
        """The id of the account with this address, as of now."""
        ...

    def answer_to(self, ticket: Ticket, now: datetime) -> str | None:
        """What the same request was answered before, as JSON. Raises IdempotencyKeyReused."""
        ...

    def add(
        self,
        member: Member,
        *,
        password_hash: str | None,
        happened: Sequence[Envelope],
        ticket: Ticket | None,
        answer: str,
        now: datetime,
    ) -> None:
        """Writes account, address, credentials, events and the answer to `ticket` together or not at all.

        Raises EmailTaken, AlreadyAnswered, IdempotencyKeyReused.
        """
        ...

    def save(self, member: Member, *, before: Member, happened: Sequence[Envelope]) -> None:
        """Replaces `before` by `member`, of the next version, and moves the hold on the address with it.

        Raises ChangedMeanwhile, EmailTaken.
        """
        ...

    def page(
        self, filters: Filters, *, after: Place | None, limit: int, now: datetime
    ) -> tuple[list[Member], Place | None]:
        """Up to `limit` members by name, and where to go on; None at the end.

        May lag a moment behind, and may stop early with a place to go on when few of many are looked for.
        """
        ...

    def lapsed(self, *, after: Place | None, now: datetime) -> tuple[list[Member], Place | None]:
        """Members whose membership or suspension has ended by `now` and still stands otherwise, by name.

        Some of them, and where to go on; None at the end. May lag a moment behind, and may answer none with a
        place to go on.
        """
        ...


class Passwords(Protocol):
    """Turns passwords, and one-time codes, into what may be stored, and compares."""

    def hash(self, password: str) -> str: ...

    def matches(self, password: str, stored: str | None) -> bool:
        """Whether `password` is what was stored. Takes as long when nothing is (None), and is False then."""
        ...


class Attempts(Protocol):
    """Counts what may not be tried without end."""

    def take(self, limit: str, key: str) -> None:
        """One more of this kind, for this key. Raises TooManyRequests when there have been too many."""
        ...


class CodeRequests(Protocol):
    """Where requests for codes wait to be worked on."""

    def put(self, request: CodeRequest) -> None: ...


class Superseded(Exception):
    """A newer request has been answered for the same account and purpose, or this very one."""


class CodeSpent(Exception):
    """The code has been used, or another one took its place; nothing was written."""


class Codes(Protocol):
    """The codes that are valid: one for each account and purpose."""

    def keep(self, code: Code) -> None:
        """Takes the place of any code before it. Raises Superseded."""
        ...

    def mark_sent(self, code: Code) -> None:
        """So that its request is answered, however often it comes. Nothing happens when a newer one is there."""
        ...

    def count_try(self, user_id: str, purpose: Purpose, now: datetime) -> Code | None:
        """One try less of the code. None when there is none that could still be right; then nothing is written."""
        ...

    def spend(
        self,
        code: Code,
        member: Member,
        *,
        before: Member,
        password_hash: str | None,
        happened: Sequence[Envelope],
        now: datetime,
    ) -> None:
        """Uses up the code, and replaces `before` by `member` (unless they are the same) and the password, if
        one is given: together or not at all.

        Raises CodeSpent, ChangedMeanwhile.
        """
        ...

    def has_password(self, user_id: str) -> bool:
        """Whether the account has credentials, as of now."""
        ...


class Undeliverable(Exception):
    """No message can ever reach this address."""


class Messenger(Protocol):
    """Sends messages to people. Raises Undeliverable, and errors of its own when trying again may help."""

    def email(self, to: str, subject: str, body: str) -> None: ...

    def text(self, phone: str, body: str) -> None: ...
