"""Changing accounts: who may, what stays, and what happens when two do at once."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from library_common.access import Caller
from library_common.access import Role as CallerRole
from library_common.http import require_version
from library_common.problems import StaleVersion, TooManyRequests
from tests.fakes.users import ADMIN, LIBRARIAN, Community, any_version
from tests.support.clock import NOON
from users_service.application.ports import VersionCheck
from users_service.domain.account_changes import ProfileUpdate, StatusUpdate
from users_service.domain.errors import (
    AdminOnly,
    EmailTaken,
    PasswordNeeded,
    StatusTransition,
    StillChanging,
    UserNotFound,
)
from users_service.domain.membership import Status
from users_service.domain.model import Member, Preferences
from users_service.domain.roles import STAFF, Role
from users_service.schemas.responses import UserView

pytestmark = pytest.mark.unit


def _as(member: Member) -> Caller:
    return Caller(kind="person", id=member.id, role=CallerRole(member.role))


def _edit(
    community: Community,
    member: Member,
    caller: Caller | None = None,
    accept: VersionCheck = any_version,
    preferences: dict[str, Any] | None = None,
    password: str | None = None,
    **fields: Any,
) -> UserView:
    update = ProfileUpdate(fields, preferences or {})
    return community.use_cases.edit_profile(
        member.id, update, caller=caller or _as(member), accept=accept, current_password=password
    )


def test_what_is_not_named_stays_as_it_is(community: Community) -> None:
    member = community.join(
        phone="+441632960001", preferences=Preferences(language="fr", keep_history=True, notification_sms=True)
    )

    user = _edit(community, member, name="Ann Young", preferences={"language": None})

    assert (user.name, user.email, user.phone) == ("Ann Young", member.email, "+441632960001")
    assert community.members.accounts[member.id].preferences == Preferences(keep_history=True, notification_sms=True)
    assert user.version == 2
    assert community.told == []


def test_a_phone_number_can_be_removed(community: Community) -> None:
    assert _edit(community, community.join(phone="+441632960001"), phone=None).phone is None


def test_a_change_to_what_it_is_already_writes_nothing(community: Community) -> None:
    member = community.join()
    community.members.meanwhile.append(lambda: pytest.fail("written"))

    assert _edit(community, member, name=member.name, email=member.email).version == 1


def test_a_new_address_takes_the_place_of_the_old_one(community: Community) -> None:
    ann, bob = community.join(email="ann@example.com"), community.join(email="bob@example.com")

    assert _edit(community, ann, email="Ann.Young@Example.com").email == "Ann.Young@Example.com"
    assert _edit(community, bob, email="ANN@example.com").email == "ANN@example.com"

    assert community.members.holders == {"ann.young@example.com": ann.id, "ann@example.com": bob.id}


def test_an_address_can_be_written_differently(community: Community) -> None:
    member = community.join(email="ann@example.com")

    assert _edit(community, member, email="Ann@Example.com").email == "Ann@Example.com"
    assert community.members.holders == {"ann@example.com": member.id}


def test_the_address_of_another_is_refused_and_nothing_changed(community: Community) -> None:
    ann, _ = community.join(email="ann@example.com"), community.join(email="bob@example.com")
    holders = dict(community.members.holders)

    with pytest.raises(EmailTaken):
        _edit(community, ann, name="New", email="BOB@example.com")

    assert community.members.accounts[ann.id] == ann
    assert community.members.holders == holders


@pytest.mark.parametrize("role", list(Role))
def test_librarians_edit_members_and_administrators_everybody(community: Community, role: Role) -> None:
    member = community.join(role=role)
    community.employ(LIBRARIAN)
    community.employ(ADMIN)

    if role in STAFF:
        with pytest.raises(AdminOnly):
            _edit(community, member, LIBRARIAN, name="New")
        assert community.members.accounts[member.id] == member
    else:
        assert _edit(community, member, LIBRARIAN, name="New").name == "New"
    assert _edit(community, member, ADMIN, name="Newer").name == "Newer"
    assert _edit(community, member, name="Newest").name == "Newest"


def test_an_administrator_whose_token_still_says_librarian_edits_their_own_account(community: Community) -> None:
    member = community.join(role=Role.ADMIN)
    caller = Caller(kind="person", id=member.id, role=CallerRole.LIBRARIAN)

    assert _edit(community, member, caller, name="New").name == "New"


@pytest.mark.parametrize("user_id", ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "me", "", "USER#1", "\u0000", "x" * 3000])
def test_an_account_that_is_not_there_is_not_changed(community: Community, user_id: str) -> None:
    cases = community.use_cases
    with pytest.raises(UserNotFound):
        cases.edit_profile(user_id, ProfileUpdate({"name": "x"}, {}), caller=ADMIN, accept=any_version)
    with pytest.raises(UserNotFound):
        cases.change_status(user_id, StatusUpdate(Status.EXPIRED), caller=ADMIN, accept=any_version)
    with pytest.raises(UserNotFound):
        cases.promote(user_id, Role.ADMIN, caller=ADMIN, accept=any_version)
    with pytest.raises(UserNotFound):
        cases.read(user_id)
    assert community.members.accounts == {}


def test_two_changes_at_once_are_both_kept(community: Community) -> None:
    member = community.join()
    community.members.meanwhile.append(lambda: _edit(community, member, name="Faster"))

    user = _edit(community, member, phone="+441632960001")

    assert (user.name, user.phone, user.version) == ("Faster", "+441632960001", 3)


def test_a_client_that_names_a_version_does_not_overwrite_another_one(community: Community) -> None:
    member = community.join()
    community.members.meanwhile.append(lambda: _edit(community, member, name="Faster"))

    with pytest.raises(StaleVersion):
        _edit(community, member, accept=partial(require_version, frozenset({1})), name="Slower")

    assert community.members.accounts[member.id].name == "Faster"


def test_an_account_that_never_holds_still_is_given_up_on(community: Community) -> None:
    member = community.join()

    def come_in_between() -> None:
        present = community.members.accounts[member.id]
        community.members.accounts[member.id] = replace(present, version=present.version + 1)
        community.members.meanwhile.append(come_in_between)

    community.members.meanwhile.append(come_in_between)

    with pytest.raises(StillChanging):
        _edit(community, member, name="New")
    assert community.members.accounts[member.id].name == member.name


def test_an_account_that_vanishes_meanwhile_is_not_found(community: Community) -> None:
    member = community.join()
    community.members.meanwhile.append(community.members.accounts.clear)

    with pytest.raises(UserNotFound):
        _edit(community, member, name="New")


def test_of_two_who_suspend_at_once_one_is_told_about(community: Community) -> None:
    member = community.join()
    update = StatusUpdate(Status.SUSPENDED, "noise")

    def suspend(caller: Caller) -> UserView:
        return community.use_cases.change_status(member.id, update, caller=caller, accept=any_version)

    community.members.meanwhile.append(lambda: suspend(ADMIN))

    assert suspend(LIBRARIAN).version == 2
    assert community.told == [
        ("MemberStatusChanged", {"user_id": member.id, "old": "active", "new": "suspended"}),
        ("SessionsRevoked", {"user_id": member.id, "reason": "suspended", "epoch": 1}),
    ]


def test_a_step_is_judged_by_what_somebody_else_left(community: Community) -> None:
    member = community.join()

    def change(status: Status, reason: str | None = None) -> None:
        update = StatusUpdate(status, reason)
        community.use_cases.change_status(member.id, update, caller=LIBRARIAN, accept=any_version)

    community.members.meanwhile.append(lambda: change(Status.SUSPENDED, "noise"))

    with pytest.raises(StatusTransition):
        change(Status.EXPIRED)
    assert community.members.accounts[member.id].stored_status is Status.SUSPENDED


def test_a_suspension_that_is_over_is_not_shown_any_more(community: Community) -> None:
    member = community.join(
        stored_status=Status.SUSPENDED, status_reason="noise", suspended_until=NOON, expires_at=None
    )

    user = community.use_cases.read(member.id)

    assert (user.status, user.status_reason, user.suspended_until) == (Status.ACTIVE, None, None)


def test_a_promotion_is_told(community: Community) -> None:
    member = community.join()
    community.employ(ADMIN)

    user = community.use_cases.promote(member.id, Role.LIBRARIAN, caller=ADMIN, accept=any_version)

    assert (user.role, user.version) == (Role.LIBRARIAN, 2)
    assert community.told == [
        ("MemberRoleChanged", {"user_id": member.id, "old": "patron", "new": "librarian"}),
        ("SessionsRevoked", {"user_id": member.id, "reason": "role_changed", "epoch": 1}),
    ]


# -- where codes go -------------------------------------------------------------------------------

PASSWORD = "correct horse"


def _with_password(community: Community, **attributes: Any) -> Member:
    member = community.join(**attributes)
    community.members.hashes[member.id] = f"hash of {PASSWORD}"
    return member


@pytest.mark.parametrize("change", [{"email": "new@example.org"}, {"phone": "+441632960002"}])
def test_a_token_alone_does_not_change_where_codes_go(community: Community, change: dict[str, Any]) -> None:
    member = _with_password(community, phone="+441632960001")

    for password, why in ((None, "is required"), ("wrong horse", "is not your password"), ("", "is not your password")):
        with pytest.raises(PasswordNeeded) as refused:
            _edit(community, member, password=password, **change)
        assert refused.value.errors == [("current_password", why)]
    assert community.members.accounts[member.id] == member

    edited = _edit(community, member, password=PASSWORD, **change)
    assert change.items() <= edited.model_dump().items()


def test_guessing_the_password_there_has_an_end(community: Community) -> None:
    member = _with_password(community)
    community.attempts.left["contact_account", member.id] = 2

    for _ in range(2):
        with pytest.raises(PasswordNeeded):
            _edit(community, member, password="wrong horse", phone="+441632960002")
    with pytest.raises(TooManyRequests):
        _edit(community, member, password=PASSWORD, phone="+441632960002")


def test_what_leads_no_codes_elsewhere_takes_no_password(community: Community) -> None:
    member = _with_password(community, phone="+441632960001")

    assert _edit(community, member, name="Ann Young").name == "Ann Young"
    assert _edit(community, member, email=member.email.upper(), phone=member.phone).version == 3
    assert _edit(community, member, phone=None).phone is None
    assert community.attempts.taken == []


def test_an_account_that_nobody_can_log_in_to_yet_is_edited_without(community: Community) -> None:
    assert _edit(community, community.join(), email="new@example.org").email == "new@example.org"


@pytest.mark.parametrize("password", [PASSWORD, None])
def test_a_number_is_confirmed_with_the_password(community: Community, password: str | None) -> None:
    member = _with_password(community, phone="+441632960001")

    _edit(community, member, password=password, phone="+441632960001", name="Ann Young")

    assert community.members.accounts[member.id].phone_confirmed is (password is not None)


def test_a_number_that_staff_set_is_not_confirmed(community: Community) -> None:
    member = _with_password(community, phone="+441632960001", phone_confirmed=True)

    _edit(community, member, LIBRARIAN, name="Same number", phone="+441632960001")
    assert community.members.accounts[member.id].phone_confirmed
    _edit(community, member, LIBRARIAN, phone="+441632960002")
    assert not community.members.accounts[member.id].phone_confirmed


@pytest.mark.parametrize("by", ["the member", "a librarian"])
def test_the_old_address_hears_of_the_new_one(community: Community, by: str) -> None:
    member = _with_password(community, email="old@example.org")

    _edit(community, member, LIBRARIAN if by == "a librarian" else None, password=PASSWORD, email="new@example.org")
    _edit(community, community.members.accounts[member.id], password=PASSWORD, email="NEW@example.org")

    (notice,) = community.code_requests.notices
    assert notice.email == "old@example.org"
    assert community.send_notice(notice) == "sent"
    (message,) = community.mail_to("old@example.org")
    assert "new@" not in message.body
    assert "another e-mail address was set" in message.body


def test_a_change_of_address_stands_when_nobody_can_be_told(community: Community) -> None:
    member = _with_password(community)
    community.code_requests.down = True

    assert _edit(community, member, password=PASSWORD, email="new@example.org").email == "new@example.org"
