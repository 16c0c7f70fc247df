"""The loans port twice: in memory, and on the table of the template in moto."""

from typing import TYPE_CHECKING

import pytest

from library_common.dynamodb import Table
from loans_service.adapters.dynamodb import DynamoLoans
from loans_service.adapters.retention import DynamoAccounts
from loans_service.application.ports import Accounts, Loans
from tests.fakes.loans import FakeAccounts, FakeLoans

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = "loans"


@pytest.fixture
def stored(dynamodb: "DynamoDBClient") -> DynamoLoans:
    """The real adapter."""
    return DynamoLoans(Table(TABLE, lambda: dynamodb))


@pytest.fixture(params=["in memory", "on DynamoDB"])
def loans(request: pytest.FixtureRequest) -> Loans:
    """Either."""
    return FakeLoans() if request.param == "in memory" else request.getfixturevalue("stored")


@pytest.fixture
def accounts(loans: Loans, request: pytest.FixtureRequest) -> Accounts:
    """Of the same kind as `loans`, over the same accounts."""
    if isinstance(loans, FakeLoans):
        return FakeAccounts(loans)
    client = request.getfixturevalue("dynamodb")
    return DynamoAccounts(Table(TABLE, lambda: client))
