"""Registering: once per address, once per idempotency key, and only in the roles one may have."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library_common.access import ANONYMOUS, Caller
from library_common.access import Role as CallerRole
from library_common.context import invocation
from library_common.idempotency import Ticket
from library_common.ids import new_id
from library_common.problems import IdempotencyKeyReused
from tests.fakes.users import ADMIN, LIBRARIAN, Community
from users_service.application.registration import Registered, Registration
from users_service.domain.errors import EmailTaken, RoleNotAllowed
from users_service.domain.membership import Status, Terms
from users_service.domain.model import Preferences
from users_service.domain.roles import Role

pytestmark = pytest.mark.unit

MEMBER = Caller(kind="person", id=new_id(), role=CallerRole.FACULTY)
SERVICE = Caller(kind="service", id="admin", scopes=frozenset({"users:read"}))


def _register(
    community: Community, *, caller: Caller = ANONYMOUS, ticket: Ticket | None = None, **attributes: Any
) -> Registered:
    wanted = Registration(**({"name": "Ann Lee", "email": "ann@example.com", "role": Role.PATRON} | attributes))
    return community.use_cases.register(wanted, caller=caller, ticket=ticket)


def _ticket(key: str = "key", body: str = "body", caller: Caller = ANONYMOUS) -> Ticket:
    ticket = Ticket.of(caller, "POST /api/users", key, body)
    assert ticket is not None
    return ticket


def test_a_new_member_is_active_for_a_year(community: Community) -> None:
    user = _register(community, phone="+441632960001", preferences=Preferences(language="fr")).user

    assert (user.name, user.email, user.role, user.status) == (
        "Ann Lee",
        "ann@example.com",
        Role.PATRON,
        Status.ACTIVE,
    )
    assert (user.phone, user.preferences.language) == ("+441632960001", "fr")
    assert (user.created_at, user.expires_at) == ("2026-11-21T12:00:00Z", "2027-11-21T23:59:59Z")
    assert user.version == 1
    assert community.use_cases.read(user.id) == user


def test_the_library_is_told_who_came_but_not_their_name_or_address(community: Community) -> None:
    with invocation("corr-1", actor="anonymous"):
        user = _register(community, phone="+441632960001").user

    (envelope,) = community.members.published
    assert (envelope.type, envelope.version) == ("MemberRegistered", 1)
    assert envelope.data == {"user_id": user.id, "role": "patron", "status": "active"}
    assert (envelope.subject, envelope.correlation_id, envelope.actor) == (f"user:{user.id}", "corr-1", "anonymous")
    assert envelope.occurred_at == "2026-11-21T12:00:00Z"
    for personal in ("Ann", "ann@", "1632"):
        assert personal not in envelope.model_dump_json()


def test_where_addresses_are_verified_first_a_new_member_is_pending() -> None:
    community = Community(terms=Terms(starts_as=Status.PENDING, days=30))

    user = _register(community).user

    assert (user.status, user.expires_at) == (Status.PENDING, "2026-12-21T23:59:59Z")
    assert community.told[0][1]["status"] == "pending"


@pytest.mark.parametrize("role", [Role.LIBRARIAN, Role.ADMIN])
def test_the_accounts_of_staff_do_not_end(community: Community, role: Role) -> None:
    community.employ(ADMIN)

    assert _register(community, caller=ADMIN, role=role).user.expires_at is None


@pytest.mark.parametrize(
    ("caller", "allowed"),
    [
        (ANONYMOUS, {Role.STUDENT, Role.PATRON}),
        (MEMBER, {Role.STUDENT, Role.PATRON}),
        (SERVICE, {Role.STUDENT, Role.PATRON}),
        (LIBRARIAN, {Role.STUDENT, Role.PATRON, Role.FACULTY, Role.LIBRARIAN}),
        (ADMIN, set(Role)),
    ],
    ids=["anonymous", "member", "service", "librarian", "admin"],
)
@pytest.mark.parametrize("role", list(Role))
def test_who_may_register_whom(community: Community, caller: Caller, allowed: set[Role], role: Role) -> None:
    staff = {community.employ(known).id for known in (LIBRARIAN, ADMIN)}

    if role in allowed:
        assert _register(community, caller=caller, role=role).user.role is role
        return
    with pytest.raises(RoleNotAllowed):
        _register(community, caller=caller, role=role, password="secret123")
    assert community.members.accounts.keys() == staff
    assert community.passwords.hashed == []


def test_the_password_is_kept_apart_and_answered_nowhere(community: Community) -> None:
    registered = _register(community, password="cafe\u0301 secret", ticket=_ticket())

    assert community.members.hashes == {registered.user.id: "hash of caf\u00e9 secret"}
    assert "secret" not in repr(registered)
    assert "secret" not in repr(Registration("Ann", "ann@example.com", Role.PATRON, password="secret123"))
    assert "secret" not in repr(community.members.accounts)
    assert "secret" not in repr(community.members.answers)
    assert "secret" not in repr(community.members.published)


def test_without_a_password_there_are_no_credentials(community: Community) -> None:
    _register(community)

    assert community.members.hashes == {}


@given(
    local=st.text("abcäößñéå0123", min_size=1, max_size=12),
    rewrite=st.sampled_from([str.upper, str.title, str.swapcase, str.lower]),
)
def test_an_address_is_taken_in_every_writing(local: str, rewrite: Any) -> None:
    community = Community()
    first = _register(community, email=f"{local}@example.com").user

    with pytest.raises(EmailTaken):
        _register(community, email=rewrite(f"{local}@example.com"), password="secret123")

    assert list(community.members.accounts) == [first.id]
    assert community.passwords.hashed == [], "a taken address must not cost a hash"


@pytest.mark.parametrize(
    "lookalike", ["KIM@example.com", "\u212aim@example.com", "\uff4bim@EXAMPLE.com", "kim@\uff45xample.com"]
)
def test_a_lookalike_that_mail_would_bring_to_the_same_place_is_taken(community: Community, lookalike: str) -> None:
    """The Kelvin sign is a K, and full-width letters are letters."""
    _register(community, email="kim@example.com")

    with pytest.raises(EmailTaken):
        _register(community, email=lookalike)


def test_of_two_at_once_one_gets_the_address(community: Community) -> None:
    community.members.meanwhile.append(lambda: _register(community, name="Bob"))

    with pytest.raises(EmailTaken):
        _register(community, email="ANN@example.com", password="secret123")

    assert [member.name for member in community.members.accounts.values()] == ["Bob"]
    assert community.members.hashes == {}
    assert len(community.told) == 1


def test_the_same_request_again_is_answered_the_same(community: Community) -> None:
    first = _register(community, password="secret123", ticket=_ticket())
    community.clock.advance(timedelta(hours=23))
    again = _register(community, password="secret123", ticket=_ticket())

    assert again.user == first.user
    assert (first.replayed, again.replayed) == (False, True)
    assert len(community.told) == len(community.passwords.hashed) == 1


def test_the_answer_stays_what_it_was_when_the_account_has_changed(community: Community) -> None:
    first = _register(community, ticket=_ticket())
    member = community.members.accounts[first.user.id]
    community.members.accounts[member.id] = replace(member, name="Changed", version=2)

    assert _register(community, ticket=_ticket()).user == first.user


def test_a_repeat_that_overtakes_its_original_is_a_repeat(community: Community) -> None:
    """Both saw neither address nor answer; the other one wrote first."""
    others: list[Registered] = []
    community.members.meanwhile.append(lambda: others.append(_register(community, ticket=_ticket())))

    mine = _register(community, ticket=_ticket())

    assert mine.replayed
    assert mine.user == others[0].user
    assert len(community.members.accounts) == 1


def test_a_repeat_is_not_refused_for_the_address_it_took_itself(community: Community) -> None:
    """The original finishes between the two looks that its repeat takes."""
    look = community.members.holder_of
    others: list[Registered] = []

    def look_and_let_the_original_finish(email_key: str) -> str | None:
        seen = look(email_key)
        if not others:
            community.members.holder_of = look  # type: ignore[method-assign]
            others.append(_register(community, ticket=_ticket()))
        return seen

    community.members.holder_of = look_and_let_the_original_finish  # type: ignore[method-assign]

    assert _register(community, ticket=_ticket()).user == others[0].user


def test_a_key_belongs_to_one_request(community: Community) -> None:
    _register(community, ticket=_ticket(body="one"))

    with pytest.raises(IdempotencyKeyReused):
        _register(community, email="bob@example.com", ticket=_ticket(body="two"))
    assert len(community.members.accounts) == 1


def test_the_same_key_of_another_caller_is_another_key(community: Community) -> None:
    _register(community, ticket=_ticket(caller=ANONYMOUS))
    other = _register(community, email="bob@example.com", caller=ADMIN, ticket=_ticket(caller=ADMIN))

    assert not other.replayed


def test_a_key_is_forgotten_after_a_day(community: Community) -> None:
    _register(community, ticket=_ticket())
    community.clock.advance(timedelta(hours=24, seconds=1))

    with pytest.raises(EmailTaken):
        _register(community, ticket=_ticket())
    assert not _register(community, email="bob@example.com", ticket=_ticket()).replayed
