"""Members in memory, and the users service on top of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from library_common.access import Caller, Role
from library_common.events import Envelope
from library_common.idempotency import Ticket
from library_common.ids import new_id
from library_common.key_rings import Ring, public_jwks_json, signing_ring_json
from library_common.tokens import SigningKey
from library_common.versions import VersionConflict
from tests.fakes.attempts import FakeAttempts
from tests.fakes.codes import FakeCodeRequests, FakeCodes, FakeMessageSender, Sent
from tests.support.clock import FixedClock
from users_service.adapters.contacts import email_key
from users_service.adapters.token_keys import PublishedVerificationKeys, SignedAccessTokens
from users_service.application.account_changes import AccountEditor
from users_service.application.code_sending import Outcome, SendCode, SendNotice
from users_service.application.first_administrator import EnsureFirstAdministrator
from users_service.application.membership_expiry import ExpireMemberships
from users_service.application.message_templates import MessageTemplates
from users_service.application.password_policy import PasswordPolicy
from users_service.application.ports import AlreadyAnswered, Codes, Members, Sessions
from users_service.application.sorting import sort_name
from users_service.bootstrap import UseCases, compose
from users_service.domain.errors import EmailTaken, OtherServiceUnavailable
from users_service.domain.membership import Status, Terms
from users_service.domain.model import Member
from users_service.domain.roles import Role as MemberRole
from users_service.domain.search import Filters, Position
from users_service.domain.sessions import EndedBy, Session


class FakeMembers:
    """Implements `Members`. `meanwhile` is called once, just before the next write: somebody was faster."""

    def __init__(self) -> None:
        self.accounts: dict[str, Member] = {}
        self.holders: dict[str, str] = {}
        self.hashes: dict[str, str] = {}
        self.answers: dict[str, dict[str, Any]] = {}
        self.published: list[Envelope] = []
        self.meanwhile: list[Callable[[], object]] = []
        self.reads: list[str] = []
        self.ended_page = 2

    def get(self, user_id: str) -> Member | None:
        self.reads.append("account")
        return self.accounts.get(user_id)

    def holder_of(self, email_key: str) -> str | None:
        self.reads.append("address")
        return self.holders.get(email_key)

    def password_hash(self, user_id: str) -> str | None:
        self.reads.append("credentials")
        return self.hashes.get(user_id)

    def answer_to(self, ticket: Ticket, now: datetime) -> str | None:
        return ticket.stored_answer(self.answers.get(ticket.record_key), now)

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
        self.let_others_go_first()
        if ticket is not None:
            earlier = ticket.stored_answer(self.answers.get(ticket.record_key), now)
            if earlier is not None:
                raise AlreadyAnswered(earlier)
        if member.email_key in self.holders:
            raise EmailTaken
        self.require_still(acting_staff)
        if ticket is not None:
            self.answers[ticket.record_key] = ticket.record(answer, now).item
        if password_hash is not None:
            self.hashes[member.id] = password_hash
        self.holders[member.email_key] = member.id
        self.accounts[member.id] = member
        self.published.extend(happened)

    def save(
        self, member: Member, *, before: Member, happened: Sequence[Envelope], acting_staff: Member | None = None
    ) -> None:
        self.let_others_go_first()
        self.require_still(before)
        self.require_still(acting_staff)
        if member.email_key != before.email_key:
            if member.email_key in self.holders:
                raise EmailTaken
            del self.holders[before.email_key]
            self.holders[member.email_key] = member.id
        self.accounts[member.id] = member
        self.published.extend(happened)

    def erase(self, member: Member, *, happened: Sequence[Envelope], now: datetime) -> None:
        self.let_others_go_first()
        present = self.accounts.get(member.id)
        if present is None or present.version != member.version:
            raise VersionConflict
        del self.accounts[member.id]
        del self.holders[member.email_key]
        self.hashes.pop(member.id, None)
        self.published.extend(happened)

    def page(
        self, filters: Filters, *, after: Position | None, limit: int, now: datetime
    ) -> tuple[list[Member], Position | None]:
        start = (after.sort_name, after.user_id) if after is not None else ("", "")
        places = (((sort_name(member.name), member.id), member) for member in self.accounts.values())
        found = sorted(
            ((place, member) for place, member in places if place > start and filters.accept(member, place[0], now)),
            key=lambda entry: entry[0],
        )
        page = found[:limit]
        return [member for _, member in page], Position(*page[-1][0]) if len(found) > limit else None

    def require_still(self, read: Member | None) -> None:
        """What a condition on the version of an account does. Raises VersionConflict."""
        if read is not None:
            present = self.accounts.get(read.id)
            if present is None or present.version != read.version:
                raise VersionConflict

    def ended(self, *, after: Position | None, now: datetime) -> tuple[list[Member], Position | None]:
        start = (after.sort_name, after.user_id) if after is not None else ("", "")
        named = (((sort_name(member.name), member.id), member) for member in self.accounts.values())
        places = sorted(named, key=lambda entry: entry[0])
        found = [m for place, m in places if place > start and m.status(now) != m.stored_status]
        page = found[: self.ended_page]
        last = Position(sort_name(page[-1].name), page[-1].id) if len(found) > len(page) else None
        return page, last

    def let_others_go_first(self) -> None:
        """Runs what `meanwhile` holds, once."""
        others, self.meanwhile = self.meanwhile, []
        for other in others:
            other()


class FakeSessions:
    """Implements `Sessions`, beside the accounts as the real ones are."""

    def __init__(self, members: FakeMembers) -> None:
        self.kept: dict[str, Session] = {}
        self._members = members

    def get(self, session_id: str) -> Session | None:
        return self.kept.get(session_id)

    def begin(self, session: Session, *, member: Member) -> None:
        self._members.let_others_go_first()
        self._members.require_still(member)
        self.kept[session.id] = session

    def rotate(self, session: Session, *, before: Session, member: Member) -> None:
        self._members.let_others_go_first()
        present = self.kept.get(session.id)
        if present is None or present.secret_hash != before.secret_hash or present.ended_at is not None:
            raise VersionConflict
        self._members.require_still(member)
        self.kept[session.id] = session

    def end(self, session_id: str, user_id: str, *, by: EndedBy, at: datetime) -> None:
        present = self.kept.get(session_id)
        if present is not None and present.user_id == user_id and present.ended_at is None:
            self.kept[session_id] = replace(present, ended_at=at, ended_by=by)


@dataclass
class FakeFirstAdministrators:
    """Implements `FirstAdministrators`."""

    ensured: dict[str, datetime] = field(default_factory=dict)

    def contains(self, email_key: str) -> bool:
        return email_key in self.ensured

    def record(self, email_key: str, at: datetime) -> None:
        self.ensured.setdefault(email_key, at)


class Counted:
    """Implements `Count`: every count with its dimensions, oldest first."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []

    def __call__(self, name: str, value: float = 1, **dimensions: str) -> None:
        self.seen.append((name, dimensions))


class FakePasswords:
    """Counts what it hashes; the hash shows its password, which no real one does."""

    def __init__(self) -> None:
        self.hashed: list[str] = []
        self.compared: list[str | None] = []

    def hash(self, password: str) -> str:
        self.hashed.append(password)
        return f"hash of {password}"

    def matches(self, password: str, stored: str | None) -> bool:
        self.compared.append(stored)
        return stored == f"hash of {password}"


class FakeMembersLoans:
    """Implements `MembersLoans`. `meanwhile` is called before each answer; `down` answers nothing."""

    def __init__(self) -> None:
        self.open: dict[str, int] = {}
        self.loans: dict[str, list[dict[str, Any]]] = {}
        self.down = False
        self.asked = 0
        self.meanwhile: Callable[[], object] = lambda: None

    def open_loans(self, user_id: str, deadline: float) -> int:
        self.asked += 1
        self.meanwhile()
        if self.down:
            raise OtherServiceUnavailable
        return self.open.get(user_id, 0)

    def history(self, user_id: str, deadline: float) -> list[Mapping[str, Any]]:
        if self.down:
            raise OtherServiceUnavailable
        return list(self.loans.get(user_id, []))


class FakeMembersRecords:
    """Implements `MembersRecords`. down: who answers nothing."""

    def __init__(self) -> None:
        self.notices: dict[str, list[dict[str, Any]]] = {}
        self.months: dict[str, list[dict[str, Any]]] = {}
        self.down: set[str] = set()

    def notifications(self, user_id: str, deadline: float) -> Mapping[str, Any]:
        if "notifications" in self.down:
            raise OtherServiceUnavailable
        return {"preferences": {"user_id": user_id}, "devices": [], "notices": self.notices.get(user_id, [])}

    def activity(self, user_id: str, deadline: float) -> list[Mapping[str, Any]]:
        if "analytics" in self.down:
            raise OtherServiceUnavailable
        return list(self.months.get(user_id, []))


LIBRARIAN = Caller(kind="person", id="01ARZ3NDEKTSV4RRFFQ69G5FAV", role=Role.LIBRARIAN)
ADMIN = Caller(kind="person", id="01BX5ZZKBKACTAV9WEVGEMMVRZ", role=Role.ADMIN)


POLICY = PasswordPolicy(is_common=lambda password: password in {"password1234", "letmein12345"})


@cache
def signing_key() -> SigningKey:
    """The key that the tests' access tokens are signed with."""
    return SigningKey.generate()


def use_cases_on(members: Members, sessions: Sessions, codes: Codes, **parts: Any) -> UseCases:
    """The use cases on these, with fakes and plausible values where nothing is given."""
    key = signing_key()
    defaults: dict[str, Any] = {
        "passwords": FakePasswords(),
        "loans": FakeMembersLoans(),
        "records": FakeMembersRecords(),
        "code_requests": FakeCodeRequests(),
        "attempts": FakeAttempts(),
        "access_tokens": SignedAccessTokens(lambda: signing_ring_json(Ring(key))),
        "verification_keys": PublishedVerificationKeys(lambda: public_jwks_json([key])),
        "policy": POLICY,
        "terms": Terms(starts_as=Status.ACTIVE, days=365),
        "lifetime": timedelta(days=30),
        "clock": FixedClock(),
        "count": Counted(),
    }
    return compose(members=members, sessions=sessions, codes=codes, **(defaults | parts))


def any_version(_: int) -> None:
    """A client that did not say which version it means."""


@dataclass
class Community:
    """The use cases of the users service on fakes."""

    clock: FixedClock = field(default_factory=FixedClock)
    members: FakeMembers = field(default_factory=FakeMembers)
    passwords: FakePasswords = field(default_factory=FakePasswords)
    loans: FakeMembersLoans = field(default_factory=FakeMembersLoans)
    records: FakeMembersRecords = field(default_factory=FakeMembersRecords)
    terms: Terms = field(default_factory=lambda: Terms(starts_as=Status.ACTIVE, days=365))
    attempts: FakeAttempts = field(default_factory=FakeAttempts)
    counted: Counted = field(default_factory=Counted)

    def __post_init__(self) -> None:
        self.sessions = FakeSessions(self.members)
        self.codes = FakeCodes(self.members)
        self.code_requests = FakeCodeRequests()
        self.sent_messages = FakeMessageSender()
        self.use_cases = use_cases_on(
            self.members,
            self.sessions,
            self.codes,
            passwords=self.passwords,
            loans=self.loans,
            records=self.records,
            code_requests=self.code_requests,
            attempts=self.attempts,
            terms=self.terms,
            clock=self.clock,
            count=self.counted,
        )
        templates = MessageTemplates("Town Library")
        self.send_code = SendCode(
            self.members, self.codes, self.passwords, self.sent_messages, templates, self.attempts, self.clock
        )
        self.send_notice = SendNotice(self.sent_messages, templates)
        self.expire = ExpireMemberships(
            self.members, AccountEditor(self.members, self.clock), self.clock, monotonic=self.clock.monotonic
        )
        self.first_administrators = FakeFirstAdministrators()
        self.ensure_administrator = EnsureFirstAdministrator(
            self.members, self.first_administrators, self.use_cases.ask_for_code, email_key, self.clock
        )

    def deliver_codes(self) -> list[Outcome]:
        """Works on everything that waits for the code sender."""
        waiting, self.code_requests.waiting = self.code_requests.waiting, []
        return [self.send_code(request) for request in waiting]

    def mail_to(self, address: str) -> list[Sent]:
        """What was sent there, oldest first."""
        return [message for message in self.sent_messages.sent if message.to == address]

    @property
    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Type and data of every event, oldest first."""
        return [(envelope.type, envelope.data) for envelope in self.members.published]

    def employ(self, caller: Caller, **attributes: Any) -> Member:
        """The account behind a caller of the staff, of which nobody was told."""
        assert caller.role is not None
        return self.join("Staff", role=MemberRole(caller.role.value), user_id=caller.id, **attributes)

    def join(
        self,
        name: str = "Ann Lee",
        email: str | None = None,
        *,
        user_id: str | None = None,
        password: str | None = None,
        **attributes: Any,
    ) -> Member:
        """A member who is there already, of which nobody was told."""
        user_id = user_id or new_id()
        address = email or f"{user_id.lower()}@example.org"
        member = a_member(id=user_id, name=name, email=address, created_at=self.clock.now(), **attributes)
        self.members.accounts[user_id] = member
        self.members.holders[member.email_key] = user_id
        if password is not None:
            self.members.hashes[user_id] = f"hash of {password}"
        return member


def a_member(**attributes: Any) -> Member:
    """A member with the given attributes and plausible others."""
    user_id = attributes.pop("id", None) or new_id()
    email = attributes.pop("email", f"{user_id.lower()}@example.org")
    defaults: dict[str, Any] = {
        "name": "Ann Lee",
        "role": MemberRole.PATRON,
        "stored_status": Status.ACTIVE,
        "created_at": FixedClock().now(),
    }
    return Member(id=user_id, email=email, email_key=email_key(email), **(defaults | attributes))
