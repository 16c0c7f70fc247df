"""The members' port twice: in memory, and on a DynamoDB table in moto."""

import pytest

from tests.fakes.users import FakeMembers
from users_service.adapters.dynamodb import DynamoMembers
from users_service.application.ports import Members


@pytest.fixture(params=["in memory", "on DynamoDB"])
def members(request: pytest.FixtureRequest) -> Members:
    if request.param == "in memory":
        return FakeMembers()
    return DynamoMembers(request.getfixturevalue("table"))
