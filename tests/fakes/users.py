"""Members in memory, and the users service on top of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from library_common.access import Caller, Role
from library_common.events import Envelope
from library_common.idempotency import Ticket
from library_common.ids import new_id
from tests.fakes.codes import FakeAttempts, FakeCodeRequests, FakeCodes, FakeMessenger, Sent
from tests.support.clock import FixedClock
from users_service.adapters.contacts import email_key
from users_service.application.code_sending import Outcome, SendCode
from users_service.application.editing import Editing
from users_service.application.first_administrator import EnsureFirstAdministrator
from users_service.application.lapsing import LapseMemberships
from users_service.application.ports import AlreadyAnswered, ChangedMeanwhile
from users_service.application.sorting import sort_name
from users_service.application.use_cases import UseCases
from users_service.application.wording import Wording
from users_service.domain.directory import Filters, Place
from users_service.domain.errors import EmailTaken
from users_service.domain.membership import Status, Terms
from users_service.domain.model import Member
from users_service.domain.roles import Role as MemberRole


class FakeMembers:
    """Implements `Members`. `meanwhile` is called once, just before the next write: somebody was faster."""

    def __init__(self) -> None:
        self.accounts: dict[str, Member] = {}
        self.holders: dict[str, str] = {}
        self.hashes: dict[str, str] = {}
        self.answers: dict[str, dict[str, Any]] = {}
        self.published: list[Envelope] = []
        self.meanwhile: list[Callable[[], object]] = []
        self.lapsed_page = 2

    def get(self, user_id: str) -> Member | None:
        return self.accounts.get(user_id)

    def holder_of(self, email_key: str) -> str | None:
        return self.holders.get(email_key)

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
    ) -> None:
        self.let_others_go_first()
        if ticket is not None:
            earlier = ticket.stored_answer(self.answers.get(ticket.record_key), now)
            if earlier is not None:
                raise AlreadyAnswered(earlier)
        if member.email_key in self.holders:
            raise EmailTaken
        if ticket is not None:
            self.answers[ticket.record_key] = ticket.record(answer, now).item
        if password_hash is not None:
            self.hashes[member.id] = password_hash
        self.holders[member.email_key] = member.id
        self.accounts[member.id] = member
        self.published.extend(happened)

    def save(self, member: Member, *, before: Member, happened: Sequence[Envelope]) -> None:
        self.let_others_go_first()
        present = self.accounts.get(member.id)
        if present is None or present.version != before.version:
            raise ChangedMeanwhile
        if member.email_key != before.email_key:
            if member.email_key in self.holders:
                raise EmailTaken
            del self.holders[before.email_key]
            self.holders[member.email_key] = member.id
        self.accounts[member.id] = member
        self.published.extend(happened)

    def page(
        self, filters: Filters, *, after: Place | None, limit: int, now: datetime
    ) -> tuple[list[Member], Place | None]:
        start = (after.sort_name, after.user_id) if after is not None else ("", "")
        places = (((sort_name(member.name), member.id), member) for member in self.accounts.values())
        found = sorted(
            ((place, member) for place, member in places if place > start and filters.accept(member, place[0], now)),
            key=lambda entry: entry[0],
        )
        page = found[:limit]
        return [member for _, member in page], Place(*page[-1][0]) if len(found) > limit else None

    def lapsed(self, *, after: Place | None, now: datetime) -> tuple[list[Member], Place | None]:
        start = (after.sort_name, after.user_id) if after is not None else ("", "")
        named = (((sort_name(member.name), member.id), member) for member in self.accounts.values())
        places = sorted(named, key=lambda entry: entry[0])
        found = [m for place, m in places if place > start and m.status(now) is not m.stored_status]
        page = found[: self.lapsed_page]
        last = Place(sort_name(page[-1].name), page[-1].id) if len(found) > len(page) else None
        return page, last

    def let_others_go_first(self) -> None:
        """Runs what `meanwhile` holds, once."""
        others, self.meanwhile = self.meanwhile, []
        for other in others:
            other()


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


LIBRARIAN = Caller(kind="person", id="01ARZ3NDEKTSV4RRFFQ69G5FAV", role=Role.LIBRARIAN)
ADMIN = Caller(kind="person", id="01BX5ZZKBKACTAV9WEVGEMMVRZ", role=Role.ADMIN)


def any_version(_: int) -> None:
    """A client that did not say which version it means."""


@dataclass
class Community:
    """The use cases of the users service on fakes."""

    clock: FixedClock = field(default_factory=FixedClock)
    members: FakeMembers = field(default_factory=FakeMembers)
    passwords: FakePasswords = field(default_factory=FakePasswords)
    terms: Terms = field(default_factory=lambda: Terms(starts_as=Status.ACTIVE, days=365))

    def __post_init__(self) -> None:
        self.codes = FakeCodes(self.members)
        self.code_requests = FakeCodeRequests()
        self.messenger = FakeMessenger()
        self.attempts = FakeAttempts()
        self.use_cases = UseCases.of(
            members=self.members,
            passwords=self.passwords,
            email_key=email_key,
            terms=self.terms,
            clock=self.clock,
            codes=self.codes,
            code_requests=self.code_requests,
            attempts=self.attempts,
        )
        self.send_code = SendCode(
            self.members, self.codes, self.passwords, self.messenger, Wording("Town Library"), self.clock
        )
        self.lapse = LapseMemberships(
            self.members, Editing(self.members, self.clock), self.clock, monotonic=self.clock.monotonic
        )
        self.ensure_administrator = EnsureFirstAdministrator(
            self.members, self.codes, self.use_cases.ask_for_code, email_key, self.clock
        )

    def deliver_codes(self) -> list[Outcome]:
        """Works on everything that waits for the code sender."""
        waiting, self.code_requests.waiting = self.code_requests.waiting, []
        return [self.send_code(request) for request in waiting]

    def mail_to(self, address: str) -> list[Sent]:
        """What was sent there, oldest first."""
        return [message for message in self.messenger.sent if message.to == address]

    @property
    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Type and data of every event, oldest first."""
        return [(envelope.type, envelope.data) for envelope in self.members.published]

    def join(self, name: str = "Ann Lee", email: str | None = None, **attributes: Any) -> Member:
        """A member who is there already, of which nobody was told."""
        user_id = new_id()
        address = email or f"{user_id.lower()}@example.org"
        member = a_member(id=user_id, name=name, email=address, created_at=self.clock.now(), **attributes)
        self.members.accounts[user_id] = member
        self.members.holders[member.email_key] = user_id
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
