"""The gateway's table as the template defines it, and the parameter store, in moto."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from library_common import aws

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def dynamodb(dynamodb: "DynamoDBClient") -> Iterator["DynamoDBClient"]:
    """Clients that the process remembers are of this engine, too."""
    aws._client.cache_clear()
    yield dynamodb
    aws._client.cache_clear()
