"""boto3 clients: one per service and process, created when first used.

Timeouts are short because every caller has a deadline; retries are botocore's `standard` mode.
The endpoint, region and credentials come from the standard AWS_* variables and nowhere else.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ses import SESClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient


@cache
def _client(service: str, *, patient: bool = True, answer_seconds: int | None = None) -> Any:
    """answer_seconds: how long the only attempt may take, for calls that are better not repeated.

    Three attempts, or one. `max_attempts` would not count the first.
    """
    import boto3  # noqa: PLC0415 - a tenth of a second that imports must not pay
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        connect_timeout=1,
        read_timeout=answer_seconds or (3 if patient else 1),
        retries={"mode": "standard", "total_max_attempts": 3 if patient and answer_seconds is None else 1},
        max_pool_connections=10,
    )
    # The overloads of boto3-stubs want literal names; the accessors below give the types back.
    make: Any = boto3.client
    return make(service, config=config)


@cache
def _single_try(service: str) -> Any:
    import boto3  # noqa: PLC0415 - as above
    from botocore.config import Config  # noqa: PLC0415

    config = Config(connect_timeout=2, read_timeout=8, retries={"mode": "standard", "total_max_attempts": 1})
    make: Any = boto3.client
    return make(service, config=config)


def dynamodb() -> "DynamoDBClient":
    client: DynamoDBClient = _client("dynamodb")
    return client


def dynamodb_without_retries() -> "DynamoDBClient":
    """One attempt of at most two seconds, for what a request can do without."""
    client: DynamoDBClient = _client("dynamodb", patient=False)
    return client


def dynamodb_streams() -> Any:
    """No stubs of this one are installed."""
    return _client("dynamodbstreams")


def lambda_() -> "LambdaClient":
    """For calls that are waited for. A function that has not answered in time is not called once more."""
    client: LambdaClient = _client("lambda", answer_seconds=10)
    return client


def events() -> "EventBridgeClient":
    client: EventBridgeClient = _client("events")
    return client


def sqs() -> "SQSClient":
    client: SQSClient = _client("sqs")
    return client


def secretsmanager() -> "SecretsManagerClient":
    client: SecretsManagerClient = _client("secretsmanager")
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
    """One attempt of at most ten seconds: what timed out may have been sent, so repeating is the caller's decision."""
    client: SESClient = _single_try("ses")
    return client


def sns_without_retries() -> "SNSClient":
    """As `ses_without_retries`."""
    client: SNSClient = _single_try("sns")
    return client
