"""The sessions' port: one suite for the fake and for DynamoDB, and what only DynamoDB can get wrong."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from library_common.dynamodb import Table
from library_common.ids import new_id
from library_common.versions import VersionConflict
from tests.adapter.users.steps import TABLE, add, changed
from tests.fakes.users import FakeMembers, FakeSessions, a_member
from tests.support.clock import NOON
from users_service.adapters.dynamodb import DynamoMembers
from users_service.adapters.sessions import DynamoSessions
from users_service.application.ports import Members, Sessions
from users_service.domain.errors import EmailTaken
from users_service.domain.model import Member
from users_service.domain.roles import Role
from users_service.domain.search import Filters
from users_service.domain.sessions import Session

pytestmark = pytest.mark.adapter

MINUTE = timedelta(minutes=1)


@pytest.fixture
def sessions(members: Members, request: pytest.FixtureRequest) -> Sessions:
    if isinstance(members, FakeMembers):
        return FakeSessions(members)
    return DynamoSessions(request.getfixturevalue("table"))


def _session(member: Member, **attributes: Any) -> Session:
    defaults: dict[str, Any] = {
        "id": "s" * 22,
        "user_id": member.id,
        "secret_hash": "0" * 64,
        "epoch": member.session_epoch,
        "created_at": NOON,
        "used_at": NOON,
        "expires_at": NOON + timedelta(days=30),
    }
    return Session(**(defaults | attributes))


def _next(session: Session, number: int = 1) -> Session:
    return replace(
        session, secret_hash=str(number) * 64, generation=session.generation + 1, used_at=NOON + number * MINUTE
    )


def test_a_session_is_read_as_written(members: Members, sessions: Sessions) -> None:
    member = add(members, session_epoch=3)
    session = _session(member)

    assert sessions.get(session.id) is None
    sessions.begin(session, member=member)

    assert sessions.get(session.id) == session
    assert members.get(member.id) == member


def test_the_password_is_read_as_of_now(members: Members) -> None:
    member = add(members)

    assert members.password_hash(member.id) == "hash"
    assert members.password_hash(new_id()) is None


def test_a_session_does_not_begin_with_an_account_that_changed(members: Members, sessions: Sessions) -> None:
    before = add(members)
    members.save(changed(before, name="Other"), before=before, happened=[])

    with pytest.raises(VersionConflict):
        sessions.begin(_session(before), member=before)
    assert sessions.get("s" * 22) is None


def test_nor_with_one_that_is_gone(members: Members, sessions: Sessions) -> None:
    with pytest.raises(VersionConflict):
        sessions.begin(_session(ghost := a_member()), member=ghost)


def test_a_token_is_good_once(members: Members, sessions: Sessions) -> None:
    member = add(members)
    first = _session(member)
    sessions.begin(first, member=member)
    second = _next(first)

    sessions.rotate(second, before=first, member=member)
    assert sessions.get(first.id) == second
    with pytest.raises(VersionConflict):
        sessions.rotate(_next(first, 2), before=first, member=member)

    assert sessions.get(first.id) == second
    sessions.rotate(_next(second, 3), before=second, member=member)


def test_a_session_does_not_go_on_with_an_account_that_changed(members: Members, sessions: Sessions) -> None:
    member = add(members)
    session = _session(member)
    sessions.begin(session, member=member)
    members.save(changed(member, session_epoch=1), before=member, happened=[])

    with pytest.raises(VersionConflict):
        sessions.rotate(_next(session), before=session, member=member)
    assert sessions.get(session.id) == session


def test_a_used_token_comes_before_a_changed_account(members: Members, sessions: Sessions) -> None:
    """Both are wrong: that the token was used is what matters."""
    member = add(members)
    session = _session(member)
    sessions.begin(session, member=member)
    sessions.rotate(_next(session), before=session, member=member)
    members.save(changed(member, name="Other"), before=member, happened=[])

    with pytest.raises(VersionConflict):
        sessions.rotate(_next(session, 2), before=session, member=member)


def test_an_ended_session_stays_ended_as_it_was(members: Members, sessions: Sessions) -> None:
    member = add(members)
    session = _session(member)
    sessions.begin(session, member=member)

    sessions.end(session.id, member.id, by="reuse", at=NOON)
    sessions.end(session.id, member.id, by="logout", at=NOON + MINUTE)

    assert sessions.get(session.id) == replace(session, ended_at=NOON, ended_by="reuse")
    with pytest.raises(VersionConflict):
        sessions.rotate(_next(session), before=session, member=member)


def test_only_its_member_s_session_is_ended(members: Members, sessions: Sessions) -> None:
    member = add(members)
    session = _session(member)
    sessions.begin(session, member=member)

    sessions.end(session.id, new_id(), by="logout", at=NOON)
    sessions.end("u" * 22, member.id, by="logout", at=NOON)

    assert sessions.get(session.id) == session
    assert sessions.get("u" * 22) is None


# -- the acting staff account ---------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"name": "New"}, {"email": "new@example.com"}])
def test_a_change_holds_only_with_its_acting_staff(members: Members, changes: dict[str, Any]) -> None:
    admin, member = add(members, role=Role.ADMIN), add(members)
    demoted = changed(admin, role=Role.PATRON)
    members.save(demoted, before=admin, happened=[])

    with pytest.raises(VersionConflict):
        members.save(changed(member, **changes), before=member, happened=[], acting_staff=admin)
    assert members.get(member.id) == member
    assert members.holder_of("new@example.com") is None

    members.save(after := changed(member, **changes), before=member, happened=[], acting_staff=demoted)
    assert members.get(member.id) == after
    assert members.get(admin.id) == demoted


def test_a_taken_address_is_told_with_acting_staff_too(members: Members) -> None:
    admin, ann, bob = add(members, role=Role.ADMIN), add(members), add(members, email="bob@example.com")

    with pytest.raises(EmailTaken):
        members.save(changed(ann, email="BOB@example.com"), before=ann, happened=[], acting_staff=admin)
    with pytest.raises(EmailTaken):
        members.add(
            a_member(email=bob.email),
            password_hash="h",
            happened=[],
            ticket=None,
            answer="",
            now=NOON,
            acting_staff=admin,
        )


@pytest.mark.parametrize("password_hash", [None, "hash"])
def test_an_account_comes_into_being_only_with_its_acting_staff(members: Members, password_hash: str | None) -> None:
    admin, new = add(members, role=Role.ADMIN), a_member(email="new@example.com", role=Role.ADMIN)
    demoted = changed(admin, role=Role.PATRON)
    members.save(demoted, before=admin, happened=[])

    def register(acting_staff: Member) -> None:
        members.add(
            new, password_hash=password_hash, happened=[], ticket=None, answer="", now=NOON, acting_staff=acting_staff
        )

    with pytest.raises(VersionConflict):
        register(admin)
    assert (members.get(new.id), members.holder_of(new.email_key)) == (None, None)
    assert members.password_hash(new.id) is None
    register(demoted)
    assert members.get(new.id) == new


# -- on DynamoDB ----------------------------------------------------------------------------------


def test_what_is_stored_of_a_session(table: Table, dynamodb: DynamoDBClient) -> None:
    members, sessions = DynamoMembers(table), DynamoSessions(table)
    member = add(members)
    sessions.begin(_session(member), member=member)
    sessions.end("s" * 22, member.id, by="logout", at=NOON)

    (item,) = [item for item in dynamodb.scan(TableName=TABLE)["Items"] if item["sk"]["S"] == "SESSION"]

    assert item == {
        "pk": {"S": f"SESSION#{'s' * 22}"},
        "sk": {"S": "SESSION"},
        "user_id": {"S": member.id},
        "secret_hash": {"S": "0" * 64},
        "generation": {"N": "1"},
        "epoch": {"N": "0"},
        "created_at": {"S": "2026-11-21T12:00:00Z"},
        "used_at": {"S": "2026-11-21T12:00:00Z"},
        "expires_at_epoch": {"N": str(int((NOON + timedelta(days=30)).timestamp()))},
        "ended_at": {"S": "2026-11-21T12:00:00Z"},
        "ended_by": {"S": "logout"},
    }


def test_a_session_is_not_in_the_directory(table: Table) -> None:
    members = DynamoMembers(table)
    member = add(members)
    DynamoSessions(table).begin(_session(member), member=member)

    assert members.page(Filters(), after=None, limit=10, now=NOON) == ([member], None)
