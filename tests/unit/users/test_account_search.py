"""Finding members: order, filters that agree with what is shown, pages and cursors."""

import base64
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library_common.paging import Cursors
from library_common.problems import InvalidRequest
from tests.fakes.users import Community
from tests.support.clock import NOON
from users_service.application.account_search import UserSearch
from users_service.application.sorting import SORT_NAME_BYTES, is_sort_name, sort_name
from users_service.domain.errors import InvalidFields
from users_service.domain.membership import Status
from users_service.domain.roles import Role
from users_service.schemas.responses import UserView

pytestmark = pytest.mark.unit


def _find(community: Community, search: UserSearch | None = None, limit: int = 20) -> list[UserView]:
    return community.use_cases.find(search or UserSearch(), limit=limit, cursor=None).items


def _names(community: Community, **search: Any) -> list[str]:
    return [user.name for user in _find(community, UserSearch(**search))]


def test_members_are_listed_by_name_without_case_and_accents(community: Community) -> None:
    for name in ["ann lee", "Zoë", "Ärnold", "Ann", "ANNA", "Bob"]:
        community.join(name)

    assert _names(community) == ["Ann", "ann lee", "ANNA", "Ärnold", "Bob", "Zoë"]


def test_a_name_is_found_by_its_beginning(community: Community) -> None:
    for name in ["Ann Lee", "Ánna", "Bob Ann", "Zoë"]:
        community.join(name)

    assert _names(community, name="aNN") == ["Ann Lee", "Ánna"]
    assert _names(community, name="zoe") == ["Zoë"]
    assert _names(community, name="ann lee jr") == []


def test_an_address_is_found_whole_and_in_every_writing(community: Community) -> None:
    community.join("Ann", email="Ann@Example.com")
    community.join("Bob", email="bob@example.com")

    assert _names(community, email="ANN@example.COM") == ["Ann"]
    for nobody in ("ann", "ann@example.org", "@", "nn@example.com"):
        assert _names(community, email=nobody) == []


def test_all_filters_hold_together(community: Community) -> None:
    community.join("Ann", email="ann@example.com", role=Role.STUDENT)
    community.join("Anna", role=Role.FACULTY)
    community.join("Bob", role=Role.STUDENT, stored_status=Status.PENDING)

    assert _names(community, role=Role.STUDENT) == ["Ann", "Bob"]
    assert _names(community, name="ann", role=Role.STUDENT) == ["Ann"]
    assert _names(community, status=Status.PENDING) == ["Bob"]
    assert _names(community, email="ann@example.com", role=Role.FACULTY) == []
    assert _names(community, email="ann@example.com", name="b") == []
    assert _names(community, email="ann@example.com", name="a", status=Status.ACTIVE) == ["Ann"]


@given(
    entries=st.lists(
        st.tuples(
            st.sampled_from(Status),
            st.sampled_from([None, NOON - timedelta(seconds=1), NOON, NOON + timedelta(seconds=1)]),
            st.sampled_from([None, NOON - timedelta(seconds=1), NOON, NOON + timedelta(seconds=1)]),
        ),
        max_size=12,
    )
)
def test_every_member_is_found_under_the_status_that_is_shown_and_no_other(entries: list[Any]) -> None:
    community = Community()
    for status, until, end in entries:
        community.join(stored_status=status, suspended_until=until, expires_at=end)

    by_status = {status: _find(community, UserSearch(status=status)) for status in Status}

    assert all(user.status is status for status, users in by_status.items() for user in users)
    assert sum(map(len, by_status.values())) == len(entries)


@given(names=st.lists(st.sampled_from(["Ann", "ann", "Bob", "Zoë", "Ärnold"]), max_size=15), limit=st.integers(1, 6))
def test_the_pages_together_are_the_list(names: list[str], limit: int) -> None:
    community = Community()
    for name in names:
        community.join(name)

    pages: list[list[UserView]] = []
    cursor: str | None = None
    while True:
        page = community.use_cases.find(UserSearch(), limit=limit, cursor=cursor)
        pages.append(page.items)
        cursor = page.next_cursor
        if cursor is None:
            break

    assert [user for page in pages for user in page] == _find(community, limit=100)
    assert all(len(page) == limit for page in pages[:-1])


def test_a_new_member_before_the_cursor_does_not_shift_the_next_page(community: Community) -> None:
    for name in ["B", "C", "D"]:
        community.join(name)
    first = community.use_cases.find(UserSearch(), limit=2, cursor=None)
    community.join("A")

    second = community.use_cases.find(UserSearch(), limit=2, cursor=first.next_cursor)

    assert [user.name for user in second.items] == ["D"]


def test_a_cursor_is_worthless_for_another_query(community: Community) -> None:
    community.join("Ann")
    community.join("Anna")
    cursor = community.use_cases.find(UserSearch(name="ann"), limit=1, cursor=None).next_cursor
    assert cursor is not None

    for other in (UserSearch(), UserSearch(name="an"), UserSearch(name="ann", role=Role.PATRON)):
        with pytest.raises(InvalidRequest):
            community.use_cases.find(other, limit=1, cursor=cursor)


ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.mark.parametrize(
    "position",
    [
        {},
        {"name": "ann"},
        {"id": ID},
        {"name": 5, "id": ID},
        {"name": "ann", "id": None},
        {"name": "ann", "id": "x"},
        {"name": "bob", "id": ID},
        {"name": "ann\t", "id": ID},
        {"name": "ann\ud800", "id": ID},
        {"name": "ann" + "n" * 1000, "id": ID},
    ],
)
def test_a_cursor_of_the_clients_own_making_is_refused(community: Community, position: dict[str, Any]) -> None:
    query = {"name": "ann", "email": None, "role": None, "status": None}
    forged = Cursors(query).encode(position)

    with pytest.raises(InvalidRequest):
        community.use_cases.find(UserSearch(name="ann"), limit=1, cursor=forged)


@pytest.mark.parametrize("cursor", ["", "x", "%%%", "é", base64.urlsafe_b64encode(json.dumps([1]).encode()).decode()])
def test_what_is_no_cursor_is_refused(community: Community, cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        community.use_cases.find(UserSearch(), limit=1, cursor=cursor)


def test_a_name_of_accents_only_finds_nothing_but_a_complaint(community: Community) -> None:
    with pytest.raises(InvalidFields):
        _find(community, UserSearch(name="\u0301"))


@given(st.text(max_size=200))
def test_every_name_fits_into_a_sort_key(name: str) -> None:
    encodable = name.encode("utf-8", "ignore").decode()

    assert len(sort_name(encodable).encode()) <= SORT_NAME_BYTES


def test_names_that_grow_when_folded_are_cut_at_a_whole_character() -> None:
    assert len("\ufdfa" * 200) == 200
    key = sort_name("\ufdfa" * 200)
    assert SORT_NAME_BYTES - 4 < len(key.encode()) <= SORT_NAME_BYTES


def test_what_a_member_is_sorted_by_follows_their_name(community: Community) -> None:
    member = community.join("Ann")
    community.join("Bob")
    community.members.accounts[member.id] = replace(member, name="Zoë")

    assert _names(community) == ["Bob", "Zoë"]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=200))
def test_every_name_can_end_a_page(name: str) -> None:
    sorted_by = sort_name(name)
    assert is_sort_name(sorted_by)
    cursors = Cursors({"list": "users"})
    cursor = cursors.encode({"name": sorted_by, "id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"})
    assert cursor is not None
    assert len(cursor) <= 4000, "as long as a list takes one"
    assert cursors.decode(cursor) == {"name": sorted_by, "id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}
