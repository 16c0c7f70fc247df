"""The notifications table in moto, keyed as in the template: the post office on it, and ports twice, also in memory."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from library_common.dynamodb import Table
from notifications_service.adapters.preferences import DynamoPreferences
from notifications_service.adapters.stored_wording import DynamoWording
from notifications_service.application.wishes import PreferencesStore
from notifications_service.application.wording_ports import StoredWording
from tests.fakes.notifications import FakePreferences, FakeWording
from tests.fakes.post_office import TABLE, Post
from tests.support.operator_log import OperatorLog, reading_the_log
from tests.support.tables import create_table, dynamodb_in_moto

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator["DynamoDBClient"]:
    """A client to an empty notifications table."""
    with dynamodb_in_moto(monkeypatch) as client:
        create_table(client, "NotificationsTable", TABLE)
        yield client


@pytest.fixture
def post(dynamodb: "DynamoDBClient") -> Post:
    return Post(lambda: dynamodb)


@pytest.fixture
def log() -> Iterator[OperatorLog]:
    with reading_the_log() as log:
        yield log


@pytest.fixture
def table(dynamodb: "DynamoDBClient") -> Table:
    return Table(TABLE, lambda: dynamodb, sleep=lambda _: None)


@pytest.fixture(params=["in memory", "on DynamoDB"])
def wording(request: pytest.FixtureRequest) -> StoredWording:
    if request.param == "in memory":
        return FakeWording()
    return DynamoWording(request.getfixturevalue("table"))


@pytest.fixture(params=["in memory", "on DynamoDB"])
def preferences(request: pytest.FixtureRequest) -> PreferencesStore:
    if request.param == "in memory":
        return FakePreferences()
    return DynamoPreferences(request.getfixturevalue("table"))
