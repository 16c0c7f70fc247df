"""boto3 clients: one per service and process, created when first used.

Timeouts are short because every caller has a deadline. Retries use botocore's `standard` mode. The endpoint,
region and credentials come from the standard AWS_* variables only.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_ses import SESClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient


@cache
def _client(service: str, *, attempts: int = 3, connect_timeout: int = 1, read_timeout: int = 3) -> Any:
    """attempts: with the first one. Timeouts in seconds, for each attempt."""
    import boto3  # noqa: PLC0415 - takes a tenth of a second to import
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=10,
    )
    # boto3-stubs has overloads for literal names only; the functions below give the client its type.
    make: Any = boto3.client
    return make(service, config=config)


def dynamodb() -> "DynamoDBClient":
    client: DynamoDBClient = _client("dynamodb")
    return client


def dynamodb_without_retries() -> "DynamoDBClient":
    """One attempt of at most two seconds, for what a request can do without."""
    client: DynamoDBClient = _client("dynamodb", attempts=1, read_timeout=1)
    return client


def dynamodb_streams() -> Any:
    """Untyped: its stubs are not installed."""
    return _client("dynamodbstreams")


def lambda_() -> "LambdaClient":
    """For synchronous calls. One attempt of at most eleven seconds: a slow function is not called twice."""
    client: LambdaClient = _client("lambda", attempts=1, read_timeout=10)
    return client


def events() -> "EventBridgeClient":
    client: EventBridgeClient = _client("events")
    return client


def sqs() -> "SQSClient":
    client: SQSClient = _client("sqs")
    return client


def ssm() -> "SSMClient":
    client: SSMClient = _client("ssm")
    return client


def ses() -> "SESClient":
    client: SESClient = _client("ses")
    return client


def sns() -> "SNSClient":
    client: SNSClient = _client("sns")
    return client


def ses_without_retries() -> "SESClient":
    """One attempt of at most ten seconds. A message may be sent despite a timeout, so the caller decides on retries."""
    client: SESClient = _client("ses", attempts=1, connect_timeout=2, read_timeout=8)
    return client


def sns_without_retries() -> "SNSClient":
    """Like `ses_without_retries`."""
    client: SNSClient = _client("sns", attempts=1, connect_timeout=2, read_timeout=8)
    return client
