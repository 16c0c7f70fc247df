"""What every `FirstAdministrators` does, in memory and on DynamoDB alike."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from library_common.clock import to_rfc3339
from library_common.dynamodb import Table
from tests.adapter.users.steps import TABLE, add
from tests.fakes.users import FakeFirstAdministrators
from tests.support.clock import NOON
from users_service.adapters.dynamodb import DynamoMembers
from users_service.adapters.first_administrators import DynamoFirstAdministrators
from users_service.application.ports import FirstAdministrators
from users_service.domain.search import Filters

pytestmark = pytest.mark.adapter

HEAD = "head@example.org"


@pytest.fixture(params=["in memory", "on DynamoDB"])
def addresses(request: pytest.FixtureRequest) -> FirstAdministrators:
    if request.param == "in memory":
        return FakeFirstAdministrators()
    return DynamoFirstAdministrators(request.getfixturevalue("table"))


def test_an_address_is_ensured_from_when_it_is_marked(addresses: FirstAdministrators) -> None:
    assert not addresses.contains(HEAD)

    addresses.record(HEAD, NOON)

    assert addresses.contains(HEAD)
    assert not addresses.contains("other@example.org")


def test_marking_again_changes_nothing(addresses: FirstAdministrators) -> None:
    addresses.record(HEAD, NOON)
    addresses.record(HEAD, NOON + timedelta(days=1))

    assert addresses.contains(HEAD)


def test_it_stays_when_the_account_is_erased(table: Table) -> None:
    members, addresses = DynamoMembers(table), DynamoFirstAdministrators(table)
    member = add(members, email=HEAD)
    addresses.record(HEAD, NOON)

    members.erase(member, happened=[], now=NOON)

    assert members.holder_of(HEAD) is None
    assert addresses.contains(HEAD)


def test_the_first_mark_is_the_one_that_is_stored_however_many_come_at_once(
    table: Table, dynamodb: DynamoDBClient
) -> None:
    addresses = DynamoFirstAdministrators(table)
    addresses.record(HEAD, NOON)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda day: addresses.record(HEAD, NOON + timedelta(days=day)), range(1, 9)))

    digest = hashlib.sha256(HEAD.encode()).hexdigest()
    assert dynamodb.scan(TableName=TABLE)["Items"] == [
        {"pk": {"S": f"FIRSTADMIN#{digest}"}, "sk": {"S": "FIRSTADMIN"}, "ensured_at": {"S": to_rfc3339(NOON)}}
    ]
    assert DynamoMembers(table).page(Filters(), after=None, limit=1, now=NOON) == ([], None), "it is no member"
