"""Ports of notifications in memory and on the table; the post office on it."""

from collections.abc import Callable, Iterator

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from library_common.dynamodb import Table
from notifications_service.adapters.notice_plans import DynamoNoticePlans
from notifications_service.adapters.preferences import DynamoPreferences
from notifications_service.adapters.stored_templates import DynamoTemplates
from notifications_service.application.ports import PreferencesStore, TemplateStore
from tests.fakes.notifications import FakePreferences, FakeTemplateStore
from tests.fakes.post_office import TABLE, Post, share_few_buckets
from tests.support.clock import NOON
from tests.support.operator_log import OperatorLog, reading_the_log


@pytest.fixture(params=["in memory", "on DynamoDB"])
def templates(request: pytest.FixtureRequest) -> TemplateStore:
    if request.param == "in memory":
        return FakeTemplateStore()
    return DynamoTemplates(request.getfixturevalue("table"))


@pytest.fixture(params=["in memory", "on DynamoDB"])
def preferences(request: pytest.FixtureRequest) -> PreferencesStore:
    if request.param == "in memory":
        return FakePreferences()
    return DynamoPreferences(request.getfixturevalue("table"))


@pytest.fixture
def erase(preferences: PreferencesStore, request: pytest.FixtureRequest) -> Callable[[str], None]:
    """What becomes of a member's preferences when the member is erased."""
    if isinstance(preferences, FakePreferences):
        return preferences.erase
    plans = DynamoNoticePlans(Table(TABLE, lambda: request.getfixturevalue("dynamodb")))

    def forget(user_id: str) -> None:
        plans.close(user_id, NOON)
        plans.erase(user_id)

    return forget


@pytest.fixture(autouse=True)
def few_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    share_few_buckets(monkeypatch)


@pytest.fixture
def post(dynamodb: DynamoDBClient) -> Post:
    """The way from events to messages, on the table."""
    return Post(lambda: dynamodb)


@pytest.fixture
def log() -> Iterator[OperatorLog]:
    with reading_the_log() as log:
        yield log
