"""What every `Members` does, in memory and on DynamoDB alike."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from library_common.ids import new_id
from library_common.problems import IdempotencyKeyReused
from library_common.versions import VersionConflict
from tests.adapter.users.steps import a_ticket, add, changed
from tests.fakes.users import a_member
from tests.support.clock import NOON
from users_service.application.ports import AlreadyAnswered, Members
from users_service.application.sorting import sort_name
from users_service.domain.errors import EmailTaken
from users_service.domain.membership import Status
from users_service.domain.model import Member, Preferences
from users_service.domain.roles import Role
from users_service.domain.search import Filters, Position

pytestmark = pytest.mark.adapter

SECOND = timedelta(seconds=1)


FULL: dict[str, Any] = {
    "name": "Änn Lee",
    "email": "Ann@Example.com",
    "role": Role.FACULTY,
    "stored_status": Status.SUSPENDED,
    "status_reason": "Noise\nand dust",
    "suspended_until": NOON + SECOND,
    "phone": "+441632960001",
    "preferences": Preferences("fr", notification_email=False, notification_sms=True, keep_history=True),
    "expires_at": NOON + timedelta(days=365),
}


@pytest.mark.parametrize("attributes", [{}, FULL, {"preferences": Preferences(share_for_recommendations=True)}])
def test_a_member_is_read_as_written(members: Members, attributes: dict[str, Any]) -> None:
    member = add(members, **attributes)

    assert members.get(member.id) == member
    assert members.holder_of(member.email_key) == member.id
    assert members.page(Filters(), after=None, limit=1, now=NOON) == ([member], None)


def test_who_is_not_there_is_not_found(members: Members) -> None:
    assert members.get(new_id()) is None
    assert members.holder_of("ann@example.com") is None
    assert members.answer_to(a_ticket(), NOON) is None
    assert members.page(Filters(), after=None, limit=1, now=NOON) == ([], None)


def test_an_address_has_one_holder(members: Members) -> None:
    ann = add(members, email="ann@example.com")
    other = a_member(email="ANN@example.com")

    with pytest.raises(EmailTaken):
        add(members, other, ticket=a_ticket())

    assert members.holder_of("ann@example.com") == ann.id
    assert members.get(other.id) is None
    assert members.answer_to(a_ticket(), NOON) is None, "a refused request must leave no answer behind"


def test_the_answer_is_there_with_its_effect(members: Members) -> None:
    add(members, ticket=a_ticket(), answer='{"id": "1"}')

    assert members.answer_to(a_ticket(), NOON) == '{"id": "1"}'
    with pytest.raises(IdempotencyKeyReused):
        members.answer_to(a_ticket(body="another"), NOON)


def test_a_repeat_of_a_request_has_no_effect(members: Members) -> None:
    add(members, email="ann@example.com", ticket=a_ticket(), answer="1")
    for email in ("ann@example.com", "bob@example.com"):
        repeat = a_member(email=email)

        with pytest.raises(AlreadyAnswered) as before:
            add(members, repeat, ticket=a_ticket(), answer="2")

        assert before.value.answer == "1"
        assert members.get(repeat.id) is None
    assert members.holder_of("bob@example.com") is None


def test_a_key_with_another_request_has_no_effect(members: Members) -> None:
    add(members, ticket=a_ticket())
    other = a_member()

    with pytest.raises(IdempotencyKeyReused):
        add(members, other, ticket=a_ticket(body="another"))
    assert members.get(other.id) is None


def test_an_answer_older_than_a_day_is_forgotten_even_if_it_is_still_stored(members: Members) -> None:
    add(members, ticket=a_ticket(), answer="1")
    later = NOON + timedelta(hours=24, seconds=1)

    assert members.answer_to(a_ticket(), later) is None
    add(members, ticket=a_ticket(), answer="2", now=later)
    assert members.answer_to(a_ticket(), later) == "2"


def test_a_change_replaces_what_was_read(members: Members) -> None:
    before = add(members, **FULL)
    after = changed(before, name="Bob", phone=None, status_reason=None, suspended_until=None, expires_at=None)

    members.save(after, before=before, happened=[])

    assert members.get(before.id) == after
    assert members.page(Filters(name_prefix="bob"), after=None, limit=5, now=NOON) == ([after], None)
    assert members.page(Filters(name_prefix="ann"), after=None, limit=5, now=NOON) == ([], None)


@pytest.mark.parametrize("changes", [{"name": "Slower"}, {"email": "slower@example.com"}])
def test_a_change_to_what_is_no_longer_so_has_no_effect(members: Members, changes: dict[str, Any]) -> None:
    before = add(members, email="ann@example.com")
    faster = changed(before, name="Faster")
    members.save(faster, before=before, happened=[])

    with pytest.raises(VersionConflict):
        members.save(changed(before, **changes), before=before, happened=[])

    assert members.get(before.id) == faster
    assert members.holder_of("ann@example.com") == before.id
    assert members.holder_of("slower@example.com") is None


@pytest.mark.parametrize("changes", [{"name": "New"}, {"email": "new@example.com"}])
def test_who_is_gone_is_not_brought_back_by_a_change(members: Members, changes: dict[str, Any]) -> None:
    ghost = a_member()

    with pytest.raises(VersionConflict):
        members.save(changed(ghost, **changes), before=ghost, happened=[])

    assert members.get(ghost.id) is None
    assert members.holder_of("new@example.com") is None


def test_an_address_moves_with_its_member_and_becomes_free(members: Members) -> None:
    before = add(members, email="ann@example.com")
    after = changed(before, email="Ann.Young@example.com")

    members.save(after, before=before, happened=[])

    assert members.get(before.id) == after
    assert members.holder_of("ann.young@example.com") == before.id
    assert members.holder_of("ann@example.com") is None
    bob = add(members, email="ann@example.com")
    assert members.holder_of("ann@example.com") == bob.id


def test_an_address_that_is_taken_stays_where_it_is(members: Members) -> None:
    ann, bob = add(members, email="ann@example.com"), add(members, email="bob@example.com")

    with pytest.raises(EmailTaken):
        members.save(changed(ann, name="New", email="bob@example.com"), before=ann, happened=[])

    assert members.get(ann.id) == ann
    assert members.holder_of("ann@example.com") == ann.id
    assert members.holder_of("bob@example.com") == bob.id


def test_of_two_who_want_the_same_free_address_one_gets_it(members: Members) -> None:
    ann, bob = add(members, email="ann@example.com"), add(members, email="bob@example.com")
    wanted = "free@example.com"
    members.save(changed(ann, email=wanted), before=ann, happened=[])

    with pytest.raises(EmailTaken):
        members.save(changed(bob, email=wanted), before=bob, happened=[])
    with pytest.raises(EmailTaken):
        add(members, email=wanted)

    assert members.holder_of(wanted) == ann.id


def test_the_directory_is_in_order_of_folded_names_then_ids(members: Members) -> None:
    added = [add(members, name=name) for name in ("bob", "Ann Lee", "Änn", "ann", "ANN", "Zoë", "Ann-Marie")]

    found, rest = members.page(Filters(), after=None, limit=50, now=NOON)

    assert found == sorted(added, key=lambda member: (sort_name(member.name), member.id))
    assert [member.name for member in found[-2:]] == ["bob", "Zoë"]
    assert rest is None


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 7])
@pytest.mark.parametrize("role", [None, Role.STUDENT])
def test_pages_join_without_gap_or_double(members: Members, limit: int, role: Role | None) -> None:
    for index in range(6):
        add(members, name=f"Ann {index % 3}", role=Role.STUDENT if index % 2 else Role.PATRON)
        add(members, name="Bob")
    filters = Filters(name_prefix="ann", role=role)
    everybody, _ = members.page(filters, after=None, limit=50, now=NOON)
    assert len(everybody) == (6 if role is None else 3)

    found: list[Member] = []
    after: Position | None = None
    while True:
        page, after = members.page(filters, after=after, limit=limit, now=NOON)
        assert len(page) <= limit
        found += page
        if after is None:
            break

    assert found == everybody


def test_the_last_page_says_that_it_is(members: Members) -> None:
    for name in ("Ann", "Bob"):
        add(members, name=name)

    page, after = members.page(Filters(), after=None, limit=2, now=NOON)

    assert [member.name for member in page] == ["Ann", "Bob"]
    assert after is None


def test_a_place_of_nobody_is_a_place_too(members: Members) -> None:
    for name in ("Ann", "Cid"):
        add(members, name=name)

    page, _ = members.page(Filters(), after=Position("bob", new_id()), limit=5, now=NOON)

    assert [member.name for member in page] == ["Cid"]


def test_a_name_may_hold_what_separates_keys(members: Members) -> None:
    added = [add(members, name=name) for name in ("A#B", "A|B", "A/B\u00a0C")]

    found: list[Member] = []
    after: Position | None = None
    while True:
        page, after = members.page(Filters(), after=after, limit=1, now=NOON)
        found += page
        if after is None:
            break
    assert {member.id for member in found} == {member.id for member in added}


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("role", [None, Role.PATRON])
def test_a_status_is_looked_for_as_it_reads(members: Members, status: Status, role: Role | None) -> None:
    moments = (None, NOON - SECOND, NOON, NOON + SECOND)
    everybody = [
        add(members, stored_status=stored, suspended_until=until, expires_at=end)
        for stored, until, end in product(Status, moments, moments)
        if until is None or stored is Status.SUSPENDED
    ]

    found, rest = members.page(Filters(status=status, role=role), after=None, limit=100, now=NOON)

    assert rest is None
    assert {member.id for member in found} == {member.id for member in everybody if member.status(NOON) is status}
    assert found, "every status occurs"


# -- erasing --------------------------------------------------------------------------------------


def test_of_who_is_erased_nothing_is_found_any_more(members: Members) -> None:
    member = add(members, email="ann@example.com")
    other = add(members)

    members.erase(member, happened=[], now=NOON)

    assert members.get(member.id) is None
    assert members.holder_of(member.email_key) is None
    assert members.page(Filters(), after=None, limit=5, now=NOON) == ([other], None)
    again = add(members, email="ann@example.com")
    assert members.holder_of(member.email_key) == again.id, "the address is free"


def test_erasing_a_version_that_is_no_more_erases_nothing(members: Members) -> None:
    member = add(members)
    members.save(changed(member, name="New"), before=member, happened=[])

    with pytest.raises(VersionConflict):
        members.erase(member, happened=[], now=NOON)

    assert members.get(member.id) is not None
    assert members.holder_of(member.email_key) == member.id


def test_who_is_erased_cannot_be_erased_or_changed_again(members: Members) -> None:
    member = add(members)
    members.erase(member, happened=[], now=NOON)

    with pytest.raises(VersionConflict):
        members.erase(member, happened=[], now=NOON)
    with pytest.raises(VersionConflict):
        members.save(changed(member, name="New"), before=member, happened=[])
    assert members.get(member.id) is None
