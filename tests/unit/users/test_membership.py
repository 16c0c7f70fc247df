"""The lifecycle of a membership and what a member's status reads as."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library_common.access import Role as PlumbingRole
from tests.fakes.users import a_member
from tests.support.clock import NOON
from users_service.domain.account_changes import StatusUpdate, change_role, change_status
from users_service.domain.errors import (
    AdminOnly,
    InvalidFields,
    OwnRole,
    OwnStatus,
    StatusTransition,
)
from users_service.domain.events import MemberRoleChanged, MemberStatusChanged, SessionsRevoked
from users_service.domain.membership import Status, Terms
from users_service.domain.model import Member
from users_service.domain.roles import Actor, Role

pytestmark = pytest.mark.unit

TERMS = Terms(starts_as=Status.ACTIVE, days=365)
LIBRARIAN = Actor(id="01ARZ3NDEKTSV4RRFFQ69G5FAV", role=Role.LIBRARIAN)
ADMIN = Actor(id="01BX5ZZKBKACTAV9WEVGEMMVRZ", role=Role.ADMIN)
A_YEAR_FROM_NOON = datetime(2027, 11, 21, 23, 59, 59, tzinfo=UTC)
SECOND = timedelta(seconds=1)

moments = st.one_of(
    st.none(), st.sampled_from([NOON - SECOND, NOON, NOON + SECOND, NOON - timedelta(days=9), A_YEAR_FROM_NOON])
)
members = st.builds(
    lambda role, status, until, end: a_member(
        role=role,
        stored_status=status,
        status_reason="noise" if status is Status.SUSPENDED else None,
        suspended_until=until if status is Status.SUSPENDED else None,
        expires_at=end,
    ),
    st.sampled_from(Role),
    st.sampled_from(Status),
    moments,
    moments,
)
updates = st.sampled_from(
    [
        StatusUpdate(Status.ACTIVE),
        StatusUpdate(Status.EXPIRED),
        StatusUpdate(Status.SUSPENDED, "noise"),
        StatusUpdate(Status.SUSPENDED, "damage", NOON + timedelta(days=3)),
    ]
)


def _status(member: Member, update: StatusUpdate, by: Actor = LIBRARIAN) -> tuple[Member, tuple[object, ...]]:
    change = change_status(member, update, by, TERMS, NOON)
    return change.member, change.happened


def test_the_roles_are_those_the_plumbing_knows() -> None:
    assert {role.value for role in Role} == {role.value for role in PlumbingRole}


@pytest.mark.parametrize(
    ("status", "until", "end", "reads_as"),
    [
        (Status.ACTIVE, None, None, Status.ACTIVE),
        (Status.ACTIVE, None, NOON + SECOND, Status.ACTIVE),
        (Status.ACTIVE, None, NOON, Status.EXPIRED),
        (Status.SUSPENDED, None, None, Status.SUSPENDED),
        (Status.SUSPENDED, NOON + SECOND, None, Status.SUSPENDED),
        (Status.SUSPENDED, NOON, None, Status.ACTIVE),
        (Status.SUSPENDED, NOON, NOON, Status.EXPIRED),
        (Status.SUSPENDED, NOON + SECOND, NOON, Status.SUSPENDED),
        (Status.PENDING, None, NOON, Status.PENDING),
        (Status.EXPIRED, None, NOON + SECOND, Status.EXPIRED),
    ],
)
def test_time_ends_suspensions_and_memberships(
    status: Status, until: datetime | None, end: datetime | None, reads_as: Status
) -> None:
    member = a_member(stored_status=status, suspended_until=until, expires_at=end)

    assert member.status(NOON) is reads_as


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        (Status.PENDING, Status.ACTIVE, True),
        (Status.PENDING, Status.SUSPENDED, False),
        (Status.PENDING, Status.EXPIRED, False),
        (Status.ACTIVE, Status.SUSPENDED, True),
        (Status.ACTIVE, Status.EXPIRED, True),
        (Status.ACTIVE, Status.PENDING, False),
        (Status.SUSPENDED, Status.ACTIVE, True),
        (Status.SUSPENDED, Status.EXPIRED, False),
        (Status.SUSPENDED, Status.PENDING, False),
        (Status.EXPIRED, Status.ACTIVE, True),
        (Status.EXPIRED, Status.SUSPENDED, False),
        (Status.EXPIRED, Status.PENDING, False),
    ],
)
def test_the_lifecycle_has_these_steps_and_no_others(old: Status, new: Status, allowed: bool) -> None:
    member = a_member(stored_status=old)
    update = StatusUpdate(new, "noise" if new is Status.SUSPENDED else None)

    if not allowed:
        with pytest.raises(StatusTransition):
            _status(member, update)
        return
    changed, happened = _status(member, update)
    assert changed.status(NOON) is new
    told = (MemberStatusChanged(user_id=member.id, old=old, new=new),)
    if new is Status.SUSPENDED:
        assert happened == (*told, SessionsRevoked(user_id=member.id, reason="suspended", epoch=1))
    else:
        assert happened == told


@given(member=members, update=updates)
def test_a_granted_status_is_what_the_member_then_has_and_granting_it_again_changes_nothing(
    member: Member, update: StatusUpdate
) -> None:
    try:
        changed, happened = _status(member, update, ADMIN)
    except StatusTransition:
        return

    assert changed.status(NOON) is update.status
    assert _status(changed, update, ADMIN) == (changed, ())
    assert bool(happened) == (member.status(NOON) is not update.status or _end(member) != _end(changed))


def _end(member: Member) -> datetime | None:
    return member.suspended_until if member.status(NOON) is Status.SUSPENDED else None


@given(member=members, first=updates, second=updates)
def test_no_sequence_of_requests_leaves_a_reason_or_an_end_that_is_not_the_last_one(
    member: Member, first: StatusUpdate, second: StatusUpdate
) -> None:
    for update in (first, second):
        before = member
        try:
            member, _ = _status(member, update, ADMIN)
        except StatusTransition:
            continue
        if member != before:
            assert (member.status_reason, member.suspended_until) == (update.reason, update.until)


def test_reactivating_an_expired_membership_renews_it() -> None:
    by_calendar, _ = _status(a_member(expires_at=NOON), StatusUpdate(Status.ACTIVE))
    by_decision, _ = _status(
        a_member(stored_status=Status.EXPIRED, expires_at=NOON + SECOND), StatusUpdate(Status.ACTIVE)
    )

    assert by_calendar.expires_at == A_YEAR_FROM_NOON
    assert by_decision.expires_at == A_YEAR_FROM_NOON


def test_lifting_a_suspension_keeps_the_end_of_the_membership_unless_it_has_passed() -> None:
    end = NOON + timedelta(days=20)
    lasting, _ = _status(a_member(stored_status=Status.SUSPENDED, expires_at=end), StatusUpdate(Status.ACTIVE))
    over, _ = _status(a_member(stored_status=Status.SUSPENDED, expires_at=NOON), StatusUpdate(Status.ACTIVE))

    assert lasting.expires_at == end
    assert over.expires_at == A_YEAR_FROM_NOON


def test_an_active_membership_is_not_prolonged_by_activating_it_again() -> None:
    member = a_member(expires_at=NOON + SECOND)

    assert _status(member, StatusUpdate(Status.ACTIVE, "again")) == (member, ())


def test_a_running_suspension_can_be_given_another_end_which_is_told() -> None:
    member = a_member(stored_status=Status.SUSPENDED, status_reason="noise", suspended_until=NOON + SECOND)
    later = NOON + timedelta(days=5)

    changed, happened = _status(member, StatusUpdate(Status.SUSPENDED, "more noise", later))

    assert (changed.status_reason, changed.suspended_until) == ("more noise", later)
    assert happened == (
        MemberStatusChanged(user_id=member.id, old=Status.SUSPENDED, new=Status.SUSPENDED, until=later),
    )


def test_another_reason_for_the_same_suspension_is_kept_but_nobody_is_told() -> None:
    member = a_member(stored_status=Status.SUSPENDED, status_reason="noise")

    changed, happened = _status(member, StatusUpdate(Status.SUSPENDED, "damage"))

    assert changed.status_reason == "damage"
    assert happened == ()


def test_the_reason_is_not_in_the_event() -> None:
    _, happened = _status(a_member(), StatusUpdate(Status.SUSPENDED, "Shouted at Ann"))

    assert "Ann" not in str(happened)


@pytest.mark.parametrize(
    ("update", "fields"),
    [
        (StatusUpdate(Status.SUSPENDED), ["reason"]),
        (StatusUpdate(Status.SUSPENDED, "noise", NOON), ["until"]),
        (StatusUpdate(Status.SUSPENDED, None, NOON - SECOND), ["reason", "until"]),
        (StatusUpdate(Status.ACTIVE, None, NOON + SECOND), ["until"]),
        (StatusUpdate(Status.EXPIRED, "moved", NOON + SECOND), ["until"]),
    ],
)
def test_a_request_that_makes_no_sense_names_its_fields(update: StatusUpdate, fields: list[str]) -> None:
    with pytest.raises(InvalidFields) as refused:
        _status(a_member(), update)

    assert [name for name, _ in refused.value.errors] == fields


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.SUSPENDED, Status.EXPIRED])
@pytest.mark.parametrize("role", [Role.LIBRARIAN, Role.ADMIN])
def test_nobody_decides_about_their_own_status(role: Role, status: Status) -> None:
    member = a_member(role=role, stored_status=Status.SUSPENDED)

    with pytest.raises(OwnStatus):
        _status(member, StatusUpdate(status, "because"), Actor(id=member.id, role=role))


def test_a_librarian_does_not_decide_about_an_administrator() -> None:
    admin = a_member(role=Role.ADMIN)

    with pytest.raises(AdminOnly):
        _status(admin, StatusUpdate(Status.EXPIRED))
    assert _status(admin, StatusUpdate(Status.EXPIRED), ADMIN)[0].status(NOON) is Status.EXPIRED


def test_an_account_that_becomes_staffs_no_longer_ends() -> None:
    change = change_role(a_member(expires_at=NOON + SECOND), Role.LIBRARIAN, ADMIN, TERMS, NOON)

    assert (change.member.role, change.member.expires_at) == (Role.LIBRARIAN, None)
    assert change.happened == (
        MemberRoleChanged(user_id=change.member.id, old=Role.PATRON, new=Role.LIBRARIAN),
        SessionsRevoked(user_id=change.member.id, reason="role_changed", epoch=1),
    )


def test_staff_who_become_members_get_a_term() -> None:
    change = change_role(a_member(role=Role.LIBRARIAN), Role.FACULTY, ADMIN, TERMS, NOON)

    assert change.member.expires_at == A_YEAR_FROM_NOON


def test_another_kind_of_member_keeps_the_end_of_the_membership() -> None:
    change = change_role(a_member(expires_at=NOON + SECOND), Role.FACULTY, ADMIN, TERMS, NOON)

    assert change.member.expires_at == NOON + SECOND


def test_a_role_that_ends_an_expiry_tells_of_the_status_too() -> None:
    member = a_member(expires_at=NOON)

    change = change_role(member, Role.LIBRARIAN, ADMIN, TERMS, NOON)

    assert change.member.status(NOON) is Status.ACTIVE
    assert change.happened[1:] == (
        MemberStatusChanged(user_id=member.id, old=Status.EXPIRED, new=Status.ACTIVE),
        SessionsRevoked(user_id=member.id, reason="role_changed", epoch=1),
    )


@given(member=members, role=st.sampled_from(Role))
def test_the_same_role_again_changes_nothing(member: Member, role: Role) -> None:
    changed = change_role(member, role, ADMIN, TERMS, NOON).member

    again = change_role(changed, role, ADMIN, TERMS, NOON)

    assert (again.member, again.happened) == (changed, ())


@pytest.mark.parametrize("role", list(Role))
def test_nobody_changes_their_own_role(role: Role) -> None:
    admin = a_member(role=Role.ADMIN)

    with pytest.raises(OwnRole):
        change_role(admin, role, Actor(id=admin.id, role=Role.ADMIN), TERMS, NOON)


@pytest.mark.parametrize(
    ("starts", "days", "ends"),
    [
        (NOON, 1, "2026-11-22T23:59:59+00:00"),
        (datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC), 365, "2029-02-28T23:59:59+00:00"),
        (datetime(2026, 12, 31, 20, 0, tzinfo=UTC), 1, "2027-01-01T23:59:59+00:00"),
    ],
)
def test_a_membership_lasts_to_the_end_of_its_last_day(starts: datetime, days: int, ends: str) -> None:
    terms = replace(TERMS, days=days)

    for role in (Role.STUDENT, Role.FACULTY, Role.PATRON):
        end = terms.end_for(role, starts)
        assert end is not None
        assert end.isoformat() == ends
    assert terms.end_for(Role.LIBRARIAN, starts) is None
    assert terms.end_for(Role.ADMIN, starts) is None


@pytest.mark.parametrize(("role", "ended"), [(Role.LIBRARIAN, True), (Role.PATRON, False)])
def test_expired_staff_lose_their_sessions_and_expired_members_do_not(role: Role, ended: bool) -> None:
    """Members whose time is over look at their loans; staff whose time is over look at nobody's."""
    change = change_status(a_member(role=role), StatusUpdate(Status.EXPIRED), ADMIN, TERMS, NOON)

    assert [type(event) for event in change.happened] == [MemberStatusChanged, *([SessionsRevoked] if ended else [])]
    assert change.member.session_epoch == ended
