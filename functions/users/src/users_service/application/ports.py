"""What the use cases need from outside. A lost race raises library_common.versions.VersionConflict."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from library_common.events import Envelope
from library_common.idempotency import Ticket
from users_service.domain.codes import AddressNotice, Code, CodeRequest, Purpose
from users_service.domain.model import Member
from users_service.domain.search import Filters, Position
from users_service.domain.sessions import EndedBy, Session

type EmailKey = Callable[[str], str]
"""What makes an e-mail address unique. Raises ValueError for what is not an address."""

type VersionCheck = Callable[[int], None]
"""Raises when the client asked for another version."""

OTHER_SERVICES_SECONDS = 8.0
"""How long the other services may take in one request, all together."""


class AlreadyAnswered(Exception):
    """A request with the same idempotency key was carried out before. `answer`: its answer, as JSON."""

    def __init__(self, answer: str) -> None:
        super().__init__("answered before")
        self.answer = answer


class Members(Protocol):
    """The accounts, and which e-mail address belongs to which."""

    def get(self, user_id: str) -> Member | None:
        """The account as of now."""
        ...

    def holder_of(self, email_key: str) -> str | None:
        """The id of the account with this address, as of now."""
        ...

    def answer_to(self, ticket: Ticket, now: datetime) -> str | None:
        """The answer to the same request before, as JSON. Raises IdempotencyKeyReused."""
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
        acting_staff: Member | None = None,
    ) -> None:
        """Writes account, address, credentials, events and the answer to `ticket` together or not at all.

        acting_staff: another account that must still be of the version that was read. Raises EmailTaken,
        AlreadyAnswered, IdempotencyKeyReused, and VersionConflict when it is not.
        """
        ...

    def save(
        self, member: Member, *, before: Member, happened: Sequence[Envelope], acting_staff: Member | None = None
    ) -> None:
        """Writes what differs between `before` and `member`, which is of the next version, and the reserved address.

        acting_staff: another account that must still be of the version read. Raises VersionConflict, EmailTaken.
        """
        ...

    def erase(self, member: Member, *, happened: Sequence[Envelope], now: datetime) -> None:
        """Removes the account of this version, its address, its credentials and whatever else is kept of it, together.

        A tombstone with the events stays for some days. Raises VersionConflict.
        """
        ...

    def password_hash(self, user_id: str) -> str | None:
        """The stored hash of the account's password, as of now; None without a password."""
        ...

    def page(
        self, filters: Filters, *, after: Position | None, limit: int, now: datetime
    ) -> tuple[list[Member], Position | None]:
        """Up to `limit` members by name, and where to go on; None at the end.

        May lag a moment behind. When few accounts match, it may stop early with a position to go on.
        """
        ...

    def ended(self, *, after: Position | None, now: datetime) -> tuple[list[Member], Position | None]:
        """Members whose membership or suspension has ended by `now`, but whose stored status does not say so, by name.

        Some of them, and where to go on; None at the end. May lag a moment behind, and may answer no members with a
        position to go on.
        """
        ...


class MembersLoans(Protocol):
    """What loans knows about a member. Deadlines are times of the monotonic clock, in seconds."""

    def open_loans(self, user_id: str, deadline: float) -> int:
        """The number of copies the member has, checkouts under way included. Raises OtherServiceUnavailable."""
        ...

    def history(self, user_id: str, deadline: float) -> list[Mapping[str, Any]]:
        """All of the member's loans as the loans API writes them, newest first. Raises OtherServiceUnavailable."""
        ...


class MembersRecords(Protocol):
    """What notifications and analytics know about a member. Deadlines as above."""

    def notifications(self, user_id: str, deadline: float) -> Mapping[str, Any]:
        """Preferences, devices and all notices, as notifications answers them. Raises OtherServiceUnavailable."""
        ...

    def activity(self, user_id: str, deadline: float) -> list[Mapping[str, Any]]:
        """The months of the statistics, as analytics answers them. Raises OtherServiceUnavailable."""
        ...


class Passwords(Protocol):
    """Hashes passwords and one-time codes, and compares them with hashes."""

    def hash(self, password: str) -> str: ...

    def matches(self, password: str, stored: str | None) -> bool:
        """Whether `stored` is the hash of `password`. False for None, after the same work."""
        ...


type IsCommon = Callable[[str], bool]
"""Whether a password is one of the most common ones, whatever its case."""


class Count(Protocol):
    """Adds to a counter of the log line. Dimensions have few values: reasons, never ids."""

    def __call__(self, name: str, value: float = 1, **dimensions: str) -> None: ...


class Attempts(Protocol):
    """Limits on how often something may be tried."""

    def take(self, limit: str, key: str, /) -> None:
        """Uses up one attempt of the named limit for `key`. Raises library_common.problems.TooManyRequests."""
        ...


class Sessions(Protocol):
    """The sessions. Reads are as of now."""

    def get(self, session_id: str) -> Session | None: ...

    def begin(self, session: Session, *, member: Member) -> None:
        """Writes a new session. Raises VersionConflict when `member` has changed since it was read."""
        ...

    def rotate(self, session: Session, *, before: Session, member: Member) -> None:
        """Makes another token the current one, once per token.

        Raises VersionConflict when session or member have changed since they were read.
        """
        ...

    def end(self, session_id: str, user_id: str, *, by: EndedBy, at: datetime) -> None:
        """Ends the session if it is this member's and has not ended; else does nothing."""
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
    """The queue of requests for codes and notices."""

    def put(self, request: CodeRequest) -> None: ...

    def put_notice(self, notice: AddressNotice) -> None: ...


class Superseded(Exception):
    """A code was sent for a newer request of the same account and purpose, or for this very one."""


class CodeSpent(Exception):
    """The code was used, or replaced by another one; nothing was written."""


class Codes(Protocol):
    """The codes: at most one for each account and purpose."""

    def keep(self, code: Code, member: Member) -> None:
        """Stores the code in place of an earlier one. Raises Superseded, and VersionConflict when `member` has changed
        since it was read.
        """
        ...

    def mark_sent(self, code: Code) -> None:
        """Marks the request as answered, however often it comes. Does nothing when there is a newer code."""
        ...

    def count_try(self, user_id: str, purpose: Purpose, now: datetime) -> Code | None:
        """Counts one try and returns the code. None, without a write, when there is no valid code or no try left."""
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
        """Uses up the code, writes what differs between `before` and `member`, and the password if one is given:
        together or not at all.

        Raises CodeSpent, VersionConflict.
        """
        ...


class FirstAdministrators(Protocol):
    """The addresses that had the account of a first administrator, so that no later deployment makes it again."""

    def contains(self, email_key: str) -> bool: ...

    def record(self, email_key: str, at: datetime) -> None:
        """Does nothing when the address is there already."""
        ...


class Undeliverable(Exception):
    """No message can reach this address, however often it is tried."""


class MessageSender(Protocol):
    """Sends messages to people. Raises Undeliverable, and other errors when trying again may help."""

    def email(self, to: str, subject: str, body: str) -> None: ...

    def text(self, phone: str, body: str) -> None: ...
