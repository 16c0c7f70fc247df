"""The first administrator: one account, however often it is asked for, and nobody is promoted by the way."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest
import urllib3

from library_common import custom_resource
from tests.fakes.users import Community
from tests.support.clock import NOON
from tests.support.mortality import Mortal, Mortality, ProcessDied
from users_service import bootstrap, first_administrator
from users_service.application.code_sending import Outcome
from users_service.application.first_administrator import AddressOfAnother
from users_service.domain.membership import Status
from users_service.domain.model import Member
from users_service.domain.roles import Role

pytestmark = pytest.mark.unit

HEAD = "head@example.org"


def test_the_account_is_made_and_gets_its_password_by_code(community: Community) -> None:
    community.ensure_administrator(HEAD)

    (member,) = community.members.accounts.values()
    assert (member.role, member.stored_status, member.expires_at) == (Role.ADMIN, Status.ACTIVE, None)
    assert community.members.hashes == {}
    assert [kind for kind, _ in community.told] == ["MemberRegistered"]

    assert community.deliver_codes() == [Outcome.SENT]
    community.use_cases.reset_password(HEAD, community.mail_to(HEAD)[-1].digits, "a long passphrase")
    assert community.members.hashes[member.id] == "hash of a long passphrase"
    assert community.use_cases.read(member.id).email_verified


def test_asking_again_makes_no_second_account_and_sends_a_code_until_there_is_a_password(community: Community) -> None:
    community.ensure_administrator(HEAD)
    community.deliver_codes()
    community.ensure_administrator("HEAD@Example.org")
    assert community.deliver_codes() == [Outcome.SENT]

    community.use_cases.reset_password(HEAD, community.mail_to(HEAD)[-1].digits, "a long passphrase")
    before = dict(community.members.accounts)
    community.ensure_administrator(HEAD)

    assert (community.members.accounts, community.code_requests.waiting) == (before, [])


def test_an_administrator_who_is_there_already_is_left_alone(community: Community) -> None:
    member = community.join(email=HEAD, role=Role.ADMIN)
    community.members.hashes[member.id] = "hash of old password"

    community.ensure_administrator(HEAD)

    assert (community.members.accounts[member.id], community.code_requests.waiting) == (member, [])
    assert community.first_administrators.ensured == {HEAD: NOON}


@pytest.mark.parametrize("role", [Role.PATRON, Role.STUDENT, Role.FACULTY, Role.LIBRARIAN])
def test_nobody_becomes_an_administrator_by_having_had_the_address_first(community: Community, role: Role) -> None:
    member = community.join(email=HEAD, role=role)

    with pytest.raises(AddressOfAnother):
        community.ensure_administrator(HEAD)

    assert (community.members.accounts, community.code_requests.waiting) == ({member.id: member}, [])
    assert community.first_administrators.ensured == {}


def test_somebody_registering_the_address_at_the_same_moment_is_not_promoted(community: Community) -> None:
    community.members.meanwhile.append(lambda: community.join(email=HEAD))

    with pytest.raises(AddressOfAnother):
        community.ensure_administrator(HEAD)
    assert community.first_administrators.ensured == {}


def test_the_same_deployment_asking_twice_at_once_makes_one_account(community: Community) -> None:
    community.members.meanwhile.append(lambda: community.ensure_administrator(HEAD))
    community.ensure_administrator(HEAD)
    assert len(community.members.accounts) == 1
    assert community.first_administrators.ensured == {HEAD: NOON}


# -- an address that was ensured before -------------------------------------------------------------


def ensured(community: Community, *, password: str | None = "a long passphrase") -> Member:
    """The first administrator, a deployment ago."""
    community.ensure_administrator(HEAD)
    (member,) = community.members.accounts.values()
    community.code_requests.waiting.clear()
    if password is not None:
        community.members.hashes[member.id] = f"hash of {password}"
    return member


def moved(community: Community, member: Member, **changes: Any) -> Member:
    """The same account, changed since."""
    after = replace(member, version=member.version + 1, **changes)
    community.members.save(after, before=member, happened=[])
    return after


def test_an_administrator_who_changed_address_stays_the_only_one(community: Community) -> None:
    member = ensured(community)
    after = moved(community, member, email="new@example.org", email_key="new@example.org")

    community.ensure_administrator("HEAD@Example.org")

    assert (community.members.accounts, community.code_requests.waiting) == ({member.id: after}, [])


def test_an_administrator_who_was_erased_does_not_come_back(community: Community) -> None:
    community.members.erase(ensured(community), happened=[], now=NOON)

    community.ensure_administrator(HEAD)

    assert (community.members.accounts, community.code_requests.waiting) == ({}, [])


@pytest.mark.parametrize("password", [None, "a long passphrase"])
@pytest.mark.parametrize("role", [Role.PATRON, Role.LIBRARIAN])
def test_an_administrator_who_was_demoted_stays_so_and_no_rollback_fails(
    community: Community, role: Role, password: str | None
) -> None:
    member = ensured(community, password=password)
    after = moved(community, member, role=role)

    community.ensure_administrator(HEAD)

    assert (community.members.accounts, community.code_requests.waiting) == ({member.id: after}, [])


def test_somebody_who_registered_the_freed_address_is_left_alone_and_no_rollback_fails(community: Community) -> None:
    head = moved(community, ensured(community), email="new@example.org", email_key="new@example.org")
    other = community.join(email=HEAD)

    community.ensure_administrator(HEAD)

    assert community.members.accounts == {head.id: head, other.id: other}
    assert community.code_requests.waiting == []


def test_an_update_to_another_address_and_its_rollback_change_nothing_about_the_first(community: Community) -> None:
    head = moved(community, ensured(community), email="new@example.org", email_key="new@example.org")
    other = community.join(email="taken@example.org")

    with pytest.raises(AddressOfAnother):
        community.ensure_administrator("taken@example.org")
    community.ensure_administrator(HEAD)

    assert community.members.accounts == {head.id: head, other.id: other}


def test_an_administrator_without_a_password_is_sent_the_code_again(community: Community) -> None:
    ensured(community, password=None)

    community.ensure_administrator(HEAD)

    assert community.deliver_codes() == [Outcome.SENT]
    assert len(community.members.accounts) == 1


# -- ends in the middle -----------------------------------------------------------------------------


def ensuring(community: Community, mortality: Mortality) -> None:
    """In a process of its own, which may die."""

    def mortal(port: object) -> Any:
        return cast("Any", Mortal(port, mortality))

    usual = community.ensure_administrator
    replace(
        usual,
        members=mortal(usual.members),
        ensured=mortal(usual.ensured),
        ask=replace(usual.ask, requests=mortal(usual.ask.requests)),
    )(HEAD)


def steps() -> list[str]:
    """Every call to the outside, in order."""
    counted = Mortality()
    ensuring(Community(), counted)
    return counted.calls


def test_first_comes_the_account_then_that_it_was_ensured_then_the_code() -> None:
    assert [step for step in steps() if step in {"add", "record", "put"}] == ["add", "record", "put"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, len(steps()) + 1))
def test_a_process_that_dies_anywhere_leaves_nothing_that_doing_it_again_does_not_repair(
    community: Community, number: int, after: bool
) -> None:
    with pytest.raises(ProcessDied):
        ensuring(community, Mortality(number, after))

    community.ensure_administrator(HEAD)

    (member,) = community.members.accounts.values()
    assert member.role is Role.ADMIN
    assert community.first_administrators.ensured == {HEAD: NOON}
    assert [kind for kind, _ in community.told] == ["MemberRegistered"]
    assert Outcome.SENT in community.deliver_codes()
    community.use_cases.reset_password(HEAD, community.mail_to(HEAD)[-1].digits, "a long passphrase")
    assert community.members.password_hash(member.id) is not None


def test_a_queue_that_does_not_answer_fails_the_deployment_and_the_next_one_asks_again(community: Community) -> None:
    community.code_requests.down = True
    with pytest.raises(ConnectionError):
        community.ensure_administrator(HEAD)
    community.code_requests.down = False

    community.ensure_administrator(HEAD)

    assert community.deliver_codes() == [Outcome.SENT]


# -- as a custom resource ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("email", "sentence"), [("head", "AdminEmail is not an e-mail address"), (HEAD, "is not an administrator's")]
)
def test_whoever_deploys_is_told_why_it_fails(community: Community, email: str, sentence: str) -> None:
    community.join(email=HEAD)

    with pytest.raises(custom_resource.Refused, match=sentence) as refusal:
        first_administrator.work({"Email": email}, community.ensure_administrator)
    assert HEAD not in str(refusal.value)


def test_cloudformation_is_answered_with_the_reason(community: Community, monkeypatch: pytest.MonkeyPatch) -> None:
    community.join(email=HEAD)
    monkeypatch.setattr(bootstrap, "first_administrator", lambda: community.ensure_administrator)
    reports: list[dict[str, str]] = []
    monkeypatch.setattr(urllib3, "request", lambda *_, body, **__: reports.append(json.loads(body)))
    event = {
        "ResponseURL": "https://cloudformation.test/answer",
        "StackId": "S",
        "RequestId": "R",
        "LogicalResourceId": "FirstAdministrator",
        "ResourceProperties": {"Email": HEAD},
    }

    first_administrator.handler({"RequestType": "Create", **event}, None)
    first_administrator.handler({"RequestType": "Delete", "PhysicalResourceId": "FirstAdministrator", **event}, None)
    del event["ResourceProperties"]
    first_administrator.handler({"RequestType": "Create", **event}, None)

    refused, deleted, broken = reports
    assert (refused["Status"], deleted["Status"], broken["Status"]) == ("FAILED", "SUCCESS", "FAILED")
    assert "not an administrator's" in refused["Reason"]
    assert "KeyError" in broken["Reason"]
    assert {report["PhysicalResourceId"] for report in reports} == {"FirstAdministrator"}
