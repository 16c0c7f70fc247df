"""The first administrator: one account, however often it is asked for, and nobody is promoted by the way."""

import json

import pytest
import urllib3

from library_common import custom_resource
from tests.fakes.users import Community
from users_service import bootstrap, first_administrator
from users_service.application.code_sending import Outcome
from users_service.application.first_administrator import AddressOfAnother
from users_service.domain.membership import Status
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


@pytest.mark.parametrize("role", [Role.PATRON, Role.STUDENT, Role.FACULTY, Role.LIBRARIAN])
def test_nobody_becomes_an_administrator_by_having_had_the_address_first(community: Community, role: Role) -> None:
    member = community.join(email=HEAD, role=role)

    with pytest.raises(AddressOfAnother):
        community.ensure_administrator(HEAD)

    assert (community.members.accounts, community.code_requests.waiting) == ({member.id: member}, [])


def test_somebody_registering_the_address_at_the_same_moment_is_not_promoted(community: Community) -> None:
    community.members.meanwhile.append(lambda: community.join(email=HEAD))

    with pytest.raises(AddressOfAnother):
        community.ensure_administrator(HEAD)


def test_the_same_deployment_asking_twice_at_once_makes_one_account(community: Community) -> None:
    community.members.meanwhile.append(lambda: community.ensure_administrator(HEAD))
    community.ensure_administrator(HEAD)
    assert len(community.members.accounts) == 1


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
