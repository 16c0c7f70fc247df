"""What only the table shows: its items, its outbox, its failures."""

from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_dynamodb import DynamoDBClient

from library_common.access import ANONYMOUS
from library_common.dynamodb import Table, from_wire
from library_common.events import envelope_for, from_outbox
from library_common.idempotency import Ticket
from library_common.versions import VersionConflict
from tests.adapter.users.steps import TABLE, add, an_event, changed
from tests.fakes.users import LIBRARIAN, a_member, use_cases_on
from tests.support.clock import NOON
from tests.support.lambda_events import api_event, call, person
from users_service import http
from users_service.adapters import dynamodb as adapter
from users_service.adapters.codes import DynamoCodes
from users_service.adapters.dynamodb import DynamoMembers
from users_service.adapters.sessions import DynamoSessions
from users_service.domain.events import MemberErased, MemberRoleChanged
from users_service.domain.membership import Status
from users_service.domain.roles import Role
from users_service.domain.search import Filters

pytestmark = pytest.mark.adapter


@pytest.fixture
def members(table: Table) -> DynamoMembers:
    return DynamoMembers(table)


def _items(client: DynamoDBClient, **scan: Any) -> list[dict[str, Any]]:
    return [from_wire(item) for item in client.scan(TableName=TABLE, **scan)["Items"]]


def _item(client: DynamoDBClient, user_id: str) -> dict[str, Any]:
    (item,) = (item for item in _items(client) if item["pk"] == f"USER#{user_id}" and item["sk"] == "PROFILE")
    return item


def test_credentials_are_an_item_of_their_own_and_in_no_index(members: DynamoMembers, dynamodb: DynamoDBClient) -> None:
    member = add(members)

    assert {(item["pk"], item["sk"]) for item in _items(dynamodb)} == {
        (f"USER#{member.id}", "PROFILE"),
        (f"USER#{member.id}", "CREDENTIALS"),
        (f"EMAIL#{member.email_key}", "EMAIL"),
    }
    assert "password_hash" not in _item(dynamodb, member.id)
    assert [item["sk"] for item in _items(dynamodb, IndexName="by_name")] == ["PROFILE"]


def test_without_a_password_there_are_no_credentials(members: DynamoMembers, dynamodb: DynamoDBClient) -> None:
    members.add(a_member(), password_hash=None, happened=[], ticket=None, answer="{}", now=NOON)

    assert sorted(item["sk"] for item in _items(dynamodb)) == ["EMAIL", "PROFILE"]


def test_what_a_request_leaves_behind_expires(members: DynamoMembers, dynamodb: DynamoDBClient) -> None:
    add(members, ticket=Ticket.of(ANONYMOUS, "POST /api/users", "secret key", "secret body"), answer="1")

    expiring = [item for item in _items(dynamodb) if "expires_at_epoch" in item]
    assert [item["sk"] for item in expiring] == ["IDEMPOTENT"]
    assert expiring[0]["expires_at_epoch"] == int(NOON.timestamp()) + 24 * 3600
    assert "secret" not in str(_items(dynamodb))


def test_an_event_stands_in_the_item_until_a_change_without_one(
    members: DynamoMembers, dynamodb: DynamoDBClient
) -> None:
    first = add(members)
    assert [e.type for e in from_outbox(_item(dynamodb, first.id))] == ["MemberRegistered"]

    second = changed(first, role=Role.FACULTY)
    event = MemberRoleChanged(user_id=first.id, old=Role.PATRON, new=Role.FACULTY)
    members.save(second, before=first, happened=[envelope_for(event, subject="user:1", at=NOON)])
    assert [e.type for e in from_outbox(_item(dynamodb, first.id))] == ["MemberRoleChanged"]

    third = changed(second, name="New")
    members.save(third, before=second, happened=[])
    assert "events" not in _item(dynamodb, first.id)

    fourth = changed(third, email="new@example.com")
    members.save(fourth, before=third, happened=[an_event(fourth)])
    members.save(changed(fourth, email="newer@example.com"), before=fourth, happened=[])
    assert "events" not in _item(dynamodb, first.id)


def test_a_refused_write_publishes_nothing(members: DynamoMembers, dynamodb: DynamoDBClient) -> None:
    before = add(members)
    members.save(changed(before, name="Faster"), before=before, happened=[])

    with pytest.raises(VersionConflict):
        members.save(changed(before, name="Slower"), before=before, happened=[an_event(before)])

    assert "events" not in _item(dynamodb, before.id)


def test_a_write_whose_answer_got_lost_is_recognised_when_it_is_tried_again(
    members: DynamoMembers, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = add(members)
    after = changed(before, name="New", phone=None)
    envelopes = [an_event(after)]
    update = table.update

    def update_twice(*write: Any) -> None:
        update(*write)
        update(*write)

    monkeypatch.setattr(table, "update", update_twice)

    members.save(after, before=before, happened=envelopes)

    assert members.get(before.id) == after


class _BusyClient:
    """A client whose writes always meet somebody else's."""

    def __init__(self, client: DynamoDBClient) -> None:
        self._client = client
        self.exceptions = client.exceptions

    def get_item(self, **request: Any) -> Any:
        return self._client.get_item(**request)

    def update_item(self, **_: Any) -> Mapping[str, Any]:
        raise self.exceptions.TransactionConflictException(
            {"Error": {"Code": "TransactionConflictException", "Message": "busy"}}, "UpdateItem"
        )

    def transact_write_items(self, **_: Any) -> Mapping[str, Any]:
        refused: Any = {
            "Error": {"Code": "TransactionCanceledException", "Message": "busy"},
            "CancellationReasons": [{"Code": "TransactionConflict"}],
        }
        raise self.exceptions.TransactionCanceledException(refused, "TransactWriteItems")


def test_an_account_that_others_keep_busy_is_unavailable_for_a_moment(
    members: DynamoMembers, dynamodb: DynamoDBClient
) -> None:
    present = add(members)
    client: Any = _BusyClient(dynamodb)
    table = Table(TABLE, lambda: client, sleep=lambda _: None)
    busy = use_cases_on(DynamoMembers(table), DynamoSessions(table), DynamoCodes(table))
    api = http.build(lambda: busy)
    librarian = person(LIBRARIAN.id, "librarian")
    before = _items(dynamodb)

    for event in (
        api_event("POST", "/api/users", body={"name": "Ann", "email": "ann@example.com"}),
        api_event("PUT", f"/api/users/{present.id}", body={"name": "New"}, caller=librarian),
        api_event("PUT", f"/api/users/{present.id}", body={"email": "new@example.com"}, caller=librarian),
    ):
        answer = call(api, event)
        assert (answer.status, answer.json["code"]) == (503, "service_unavailable")
        assert answer.headers["retry-after"]
    assert _items(dynamodb) == before


def test_a_condition_nobody_expected_is_not_taken_for_another_one(
    members: DynamoMembers, dynamodb: DynamoDBClient
) -> None:
    """The reservation of an address is missing though its account is there: damage, not a conflict."""
    before = add(members)
    dynamodb.delete_item(TableName=TABLE, Key={"pk": {"S": f"EMAIL#{before.email_key}"}, "sk": {"S": "EMAIL"}})

    with pytest.raises(Exception, match="condition of operation 2 failed"):
        members.save(changed(before, email="new@example.com"), before=before, happened=[])
    assert members.get(before.id) == before


@pytest.mark.parametrize(("limit", "filters"), [(2, Filters()), (9, Filters()), (2, Filters(role=Role.PATRON))])
def test_a_page_takes_one_query(
    members: DynamoMembers, table: Table, monkeypatch: pytest.MonkeyPatch, limit: int, filters: Filters
) -> None:
    for _ in range(5):
        add(members)
    query, asked = table.query, []

    def counted(condition: Any, **options: Any) -> Any:
        asked.append(options)
        return query(condition, **options)

    monkeypatch.setattr(table, "query", counted)

    members.page(filters, after=None, limit=limit, now=NOON)

    assert len(asked) == 1


def test_looking_for_few_among_many_stops_early_with_a_place_to_go_on(
    members: DynamoMembers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "FILTERED_QUERY_ITEMS", 2)
    monkeypatch.setattr(adapter, "MAX_QUERIES", 3)
    for index in range(20):
        add(members, name=f"Member {index:02}", role=Role.FACULTY if index == 17 else Role.PATRON)

    filters = Filters(role=Role.FACULTY, status=Status.ACTIVE)
    first, after = members.page(filters, after=None, limit=1, now=NOON)
    assert first == []
    assert after is not None
    assert after.sort_name == "member 05"

    found = []
    for _ in range(20):
        page, after = members.page(filters, after=after, limit=1, now=NOON)
        found += page
        if after is None:
            break
    assert [member.name for member in found] == ["Member 17"]
    assert after is None


def test_a_table_that_is_not_there_is_no_empty_one(dynamodb: DynamoDBClient) -> None:
    members = DynamoMembers(Table("Elsewhere", lambda: dynamodb))

    with pytest.raises(ClientError):
        members.get("01ARZ3NDEKTSV4RRFFQ69G5FAV")


def test_an_erased_account_leaves_its_events_and_nothing_personal(
    members: DynamoMembers, dynamodb: DynamoDBClient
) -> None:
    member = add(members, name="Ann Lee", email="ann@example.com", phone="+441632960001")
    event = envelope_for(MemberErased(user_id=member.id), subject=f"user:{member.id}", at=NOON)

    members.erase(member, happened=[event], now=NOON)

    (left,) = _items(dynamodb)
    assert {name for name in left if name not in ("pk", "sk")} == {"erased", "version", "expires_at_epoch", "events"}
    assert "Ann" not in str(left)
    assert "example" not in str(left)
    assert "MemberErased" in str(left["events"])
