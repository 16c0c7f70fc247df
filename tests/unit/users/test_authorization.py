"""Staff changes take staff of this very moment: a token keeps its role for minutes after an account lost it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from library_common.access import Caller
from library_common.access import Role as CallerRole
from tests.fakes.users import ADMIN, LIBRARIAN, Community, any_version
from tests.support.clock import NOON
from users_service.application.registration import Registration
from users_service.domain.account_changes import ProfileUpdate, StatusUpdate
from users_service.domain.errors import NoLongerAllowed
from users_service.domain.membership import Status
from users_service.domain.model import Member
from users_service.domain.roles import Role

pytestmark = pytest.mark.unit

type Act = Callable[[Community, Member, Caller], object]


def _promote_to(role: Role) -> Act:
    return lambda community, member, by: community.use_cases.promote(member.id, role, caller=by, accept=any_version)


def _register(role: Role) -> Act:
    def act(community: Community, _: Member, by: Caller) -> object:
        wanted = Registration(name="New", email="new@example.com", role=role)
        return community.use_cases.register(wanted, caller=by, ticket=None)

    return act


def _status(status: Status) -> Act:
    update = StatusUpdate(status, "because" if status is Status.SUSPENDED else None)
    return lambda community, member, by: community.use_cases.change_status(
        member.id, update, caller=by, accept=any_version
    )


def _edit(**fields: Any) -> Act:
    update = ProfileUpdate(fields, {})
    return lambda community, member, by: community.use_cases.edit_profile(
        member.id, update, caller=by, accept=any_version
    )


STAFF_CHANGES: list[tuple[Act, Role]] = [
    (_promote_to(Role.ADMIN), Role.PATRON),
    (_promote_to(Role.LIBRARIAN), Role.STUDENT),
    (_promote_to(Role.PATRON), Role.ADMIN),
    (_promote_to(Role.ADMIN), Role.LIBRARIAN),
    (_register(Role.ADMIN), Role.PATRON),
    (_register(Role.LIBRARIAN), Role.PATRON),
    (_status(Status.SUSPENDED), Role.ADMIN),
    (_status(Status.EXPIRED), Role.LIBRARIAN),
    (_edit(email="mine@example.com"), Role.ADMIN),
    (_edit(phone="+441632960001"), Role.LIBRARIAN),
]
OTHER_CHANGES: list[tuple[Act, Role]] = [
    (_promote_to(Role.FACULTY), Role.PATRON),
    (_register(Role.FACULTY), Role.PATRON),
    (_status(Status.SUSPENDED), Role.PATRON),
    (_edit(name="New"), Role.STUDENT),
]
GONE_WRONG: list[dict[str, Any]] = [
    {"role": Role.PATRON},
    {"role": Role.LIBRARIAN},
    {"stored_status": Status.SUSPENDED},
    {"stored_status": Status.SUSPENDED, "suspended_until": NOON.replace(year=2027)},
    {"stored_status": Status.EXPIRED},
    {"stored_status": Status.PENDING},
]


@pytest.mark.parametrize(("act", "role"), STAFF_CHANGES)
def test_an_administrator_in_office_may(community: Community, act: Act, role: Role) -> None:
    community.employ(ADMIN)
    member = community.join(role=role)

    act(community, member, ADMIN)

    assert community.members.accounts[member.id] != member or len(community.members.accounts) == 3


@pytest.mark.parametrize(("act", "role"), STAFF_CHANGES)
@pytest.mark.parametrize("fate", GONE_WRONG)
def test_one_who_is_none_any_more_may_not(community: Community, act: Act, role: Role, fate: dict[str, Any]) -> None:
    account = replace(community.employ(ADMIN), **fate)
    community.members.accounts[account.id] = account
    member = community.join(role=role)
    before = dict(community.members.accounts)

    with pytest.raises(NoLongerAllowed):
        act(community, member, ADMIN)

    assert community.members.accounts == before
    assert community.told == []


@pytest.mark.parametrize(("act", "role"), STAFF_CHANGES)
def test_a_token_of_no_account_may_not(community: Community, act: Act, role: Role) -> None:
    member = community.join(role=role)

    with pytest.raises(NoLongerAllowed):
        act(community, member, ADMIN)
    assert community.members.accounts == {member.id: member}


@pytest.mark.parametrize(("act", "role"), STAFF_CHANGES)
def test_a_demotion_at_the_same_moment_wins(community: Community, act: Act, role: Role) -> None:
    """The account is looked at before it is demoted, the change written after."""
    account = community.employ(ADMIN)
    member = community.join(role=role)
    demoted = replace(account, role=Role.PATRON, version=2)
    community.members.meanwhile.append(lambda: community.members.accounts.update({account.id: demoted}))

    with pytest.raises(NoLongerAllowed):
        act(community, member, ADMIN)

    assert community.members.accounts == {account.id: demoted, member.id: member}
    assert community.told == []


@pytest.mark.parametrize(("act", "role"), STAFF_CHANGES)
def test_a_harmless_change_of_the_acting_account_does_not_matter(community: Community, act: Act, role: Role) -> None:
    account = community.employ(ADMIN)
    member = community.join(role=role)
    renamed = replace(account, name="Renamed", version=2)
    community.members.meanwhile.append(lambda: community.members.accounts.update({account.id: renamed}))

    act(community, member, ADMIN)

    assert len(community.told) <= 2


@pytest.mark.parametrize(("act", "role"), OTHER_CHANGES)
def test_what_concerns_no_staff_costs_no_second_look(community: Community, act: Act, role: Role) -> None:
    member = community.join(role=role)

    act(community, member, ADMIN)

    assert community.members.reads.count("account") <= 1


def test_staff_edit_themselves_without_a_recheck(community: Community) -> None:
    account = community.employ(LIBRARIAN)

    _edit(name="Lena")(community, account, LIBRARIAN)

    assert community.members.accounts[account.id].name == "Lena"


def test_of_two_administrators_who_demote_each_other_one_remains(community: Community) -> None:
    one, other = community.join(role=Role.ADMIN), community.join(role=Role.ADMIN)

    def demote(member: Member, by: Member) -> object:
        caller = Caller(kind="person", id=by.id, role=CallerRole.ADMIN)
        return _promote_to(Role.PATRON)(community, member, caller)

    community.members.meanwhile.append(lambda: demote(one, other))

    with pytest.raises(NoLongerAllowed):
        demote(other, one)

    roles = {member.id: member.role for member in community.members.accounts.values()}
    assert roles == {one.id: Role.PATRON, other.id: Role.ADMIN}


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.EXPIRED])
def test_nor_do_two_who_suspend_each_other_both_vanish(community: Community, status: Status) -> None:
    one, other = community.join(role=Role.ADMIN), community.join(role=Role.ADMIN)

    def strike(member: Member, by: Member) -> object:
        caller = Caller(kind="person", id=by.id, role=CallerRole.ADMIN)
        return _status(status)(community, member, caller)

    community.members.meanwhile.append(lambda: strike(one, other))

    with pytest.raises(NoLongerAllowed):
        strike(other, one)
    assert community.members.accounts[other.id].status(NOON) is Status.ACTIVE
