"""What the use cases need from outside."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from library_common.events import Envelope
from library_common.idempotency import Ticket
from users_service.domain.codes import Code, CodeRequest, Purpose
from users_service.domain.directory import Filters, Place
from users_service.domain.model import Member
from users_service.domain.notices import AddressNotice
from users_service.domain.sessions import EndedBy, Session

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
    """Somebody else changed a member after it was read; nothing was written."""


class SessionMoved(Exception):
    """Somebody else used or ended the session after it was read; nothing was written."""


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
        voucher: Member | None = None,
    ) -> None:
        """Writes account, address, credentials, events and the answer to `ticket` together or not at all.

        voucher: an account that must still be as it was read. Raises EmailTaken, AlreadyAnswered,
        IdempotencyKeyReused, and ChangedMeanwhile when the voucher is not.
        """
        ...

    def save(
        self, member: Member, *, before: Member, happened: Sequence[Envelope], voucher: Member | None = None
    ) -> None:
        """Replaces `before` by `member`, of the next version, and moves the hold on the address with it.

        voucher: another account that must still be as it was read. Raises ChangedMeanwhile, EmailTaken.
        """
        ...

    def erase(self, member: Member, *, happened: Sequence[Envelope], now: datetime) -> None:
        """Removes the account of this version, its address, its credentials and whatever else is kept of it, together.

        What stays for some days is that there was an account of this id, with the events. Raises ChangedMeanwhile.
        """
        ...

    def password_hash(self, user_id: str) -> str | None:
        """What was stored of the account's password, as of now; None without one."""
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


class MembersLoans(Protocol):
    """The loans service, as far as leaving the library needs it. Deadlines are moments on the monotonic clock."""

    def open_loans(self, user_id: str, deadline: float) -> int:
        """Copies the member has, and checkouts under way. Raises NeighbourUnavailable."""
        ...

    def history(self, user_id: str, deadline: float) -> list[Mapping[str, Any]]:
        """All of the member's loans as the loans API writes them, newest first. Raises NeighbourUnavailable."""
        ...


class MembersRecords(Protocol):
    """What other services keep about a member besides loans. Deadlines as above."""

    def notifications(self, user_id: str, deadline: float) -> Mapping[str, Any]:
        """Preferences, devices and all notices, as the notifications API writes them. Raises NeighbourUnavailable."""
        ...

    def activity(self, user_id: str, deadline: float) -> list[Mapping[str, Any]]:
        """The months of the statistics, as the analytics API writes them. Raises NeighbourUnavailable."""
        ...


class Passwords(Protocol):
    """Turns passwords, and one-time codes, into what may be stored, and compares."""

    def hash(self, password: str) -> str: ...

    def matches(self, password: str, stored: str | None) -> bool:
        """Whether `password` is what was stored. Takes as long when nothing is (None), and is False then."""
        ...


type IsCommon = Callable[[str], bool]
"""Whether a password is among those that everybody tries first, whatever its case."""


class Count(Protocol):
    """Adds one to a metric. Dimensions are few-valued: reasons, never ids."""

    def __call__(self, name: str, value: float = 1, **dimensions: str) -> None: ...


class Attempts(Protocol):
    """How often something may be tried."""

    def take(self, limit: str, key: str, /) -> None:
        """Uses up one attempt of the named limit for `key`. Raises library_common.problems.TooManyRequests."""
        ...


class Sessions(Protocol):
    """The sessions. Reading one is as of now."""

    def get(self, session_id: str) -> Session | None: ...

    def begin(self, session: Session, *, member: Member) -> None:
        """Writes a new one. Raises ChangedMeanwhile when `member` is no longer as it was read."""
        ...

    def rotate(self, session: Session, *, before: Session, member: Member) -> None:
        """Makes another token the current one, once per token.

        Raises SessionMoved when `before` is not its state any more, ChangedMeanwhile when `member` is no longer as it
        was read.
        """
        ...

    def end(self, session_id: str, user_id: str, *, by: EndedBy, at: datetime) -> None:
        """Ends the session if it is this member's and lasts; else nothing happens."""
        ...


class AccessTokens(Protocol):
    """Makes access tokens."""

    def mint(self, member: Member, *, session_id: str, now: datetime) -> tuple[str, int]:
        """The token and how many seconds it lasts. Raises library_common.problems.ServiceUnavailable without a key."""
        ...


class VerificationKeys(Protocol):
    """The public keys that access tokens are checked with."""

    def jwks(self) -> Mapping[str, Any]:
        """As published (RFC 7517). Raises library_common.problems.ServiceUnavailable when there are none yet."""
        ...


class CodeRequests(Protocol):
    """Where requests for codes, and notices, wait to be worked on."""

    def put(self, request: CodeRequest) -> None: ...

    def put_notice(self, notice: AddressNotice) -> None: ...


class Superseded(Exception):
    """A newer request has been answered for the same account and purpose, or this very one."""


class CodeSpent(Exception):
    """The code has been used, or another one took its place; nothing was written."""


class Codes(Protocol):
    """The codes that are valid: one for each account and purpose."""

    def keep(self, code: Code, member: Member) -> None:
        """Takes the place of any code before it. Raises Superseded, ChangedMeanwhile when `member` is no longer as it
        was read: erased, say.
        """
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


class Deployments(Protocol):
    """What deployments have done, so that no later one, or its rollback, does it again."""

    def has_ensured(self, email_key: str) -> bool:
        """Whether the first administrator of this address was ever there, as of now."""
        ...

    def mark_ensured(self, email_key: str, at: datetime) -> None:
        """From now on it was. Nothing happens when it was before."""
        ...


class Undeliverable(Exception):
    """No message can ever reach this address."""


class Messenger(Protocol):
    """Sends messages to people. Raises Undeliverable, and errors of its own when trying again may help."""

    def email(self, to: str, subject: str, body: str) -> None: ...

    def text(self, phone: str, body: str) -> None: ...
