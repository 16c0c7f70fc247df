"""Members in memory, and the users service on top of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from library_common.access import Caller, Role
from library_common.events import Envelope
from library_common.idempotency import Ticket
from library_common.ids import new_id
from tests.support.clock import FixedClock
from users_service.adapters.contacts import email_key
from users_service.application.ports import AlreadyAnswered, ChangedMeanwhile
from users_service.application.sorting import sort_name
from users_service.application.use_cases import UseCases
from users_service.domain.directory import Filters, Place
from users_service.domain.errors import EmailTaken, NeighbourUnavailable
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
        self._let_others_go_first()
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
        self._let_others_go_first()
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

    def erase(self, member: Member, *, happened: Sequence[Envelope], now: datetime) -> None:
        self._let_others_go_first()
        present = self.accounts.get(member.id)
        if present is None or present.version != member.version:
            raise ChangedMeanwhile
        del self.accounts[member.id]
        del self.holders[member.email_key]
        self.hashes.pop(member.id, None)
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

    def _let_others_go_first(self) -> None:
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
            raise NeighbourUnavailable
        return self.open.get(user_id, 0)

    def history(self, user_id: str, deadline: float) -> list[Mapping[str, Any]]:
        if self.down:
            raise NeighbourUnavailable
        return list(self.loans.get(user_id, []))


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
    loans: FakeMembersLoans = field(default_factory=FakeMembersLoans)
    terms: Terms = field(default_factory=lambda: Terms(starts_as=Status.ACTIVE, days=365))

    def __post_init__(self) -> None:
        self.use_cases = UseCases.of(
            members=self.members,
            passwords=self.passwords,
            loans=self.loans,
            email_key=email_key,
            terms=self.terms,
            clock=self.clock,
        )

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
