"""The loans port twice: in memory, and on the table of the template in moto."""

from typing import TYPE_CHECKING

import pytest

from loans_service.adapters.dynamodb import DynamoLoans
from loans_service.application.ports import Loans
from tests.fakes.loans import FakeLoans

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = "loans"


@pytest.fixture
def stored(dynamodb: "DynamoDBClient") -> DynamoLoans:
    """The real adapter."""
    return DynamoLoans(TABLE, lambda: dynamodb)


@pytest.fixture(params=["in memory", "on DynamoDB"])
def loans(request: pytest.FixtureRequest) -> Loans:
    """Either."""
    return FakeLoans() if request.param == "in memory" else request.getfixturevalue("stored")
