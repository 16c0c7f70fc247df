"""boto3 clients, one per service and process, created when first used; and how to send a dead letter.

Timeouts are short because every caller has a deadline. Retries use botocore's `standard` mode. The endpoint,
region and credentials come from the standard AWS_* variables only.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_ses import SESClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

MAX_REASON_LENGTH = 500
"""Longest attribute of a dead letter, in characters."""


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
    # boto3-stubs has overloads for literal names only; the annotations below give the client its type.
    make: Any = boto3.client
    return make(service, config=config)


dynamodb: "Callable[[], DynamoDBClient]" = partial(_client, "dynamodb")
dynamodb_streams: Callable[[], Any] = partial(_client, "dynamodbstreams")  # its stubs are not installed
events: "Callable[[], EventBridgeClient]" = partial(_client, "events")
sqs: "Callable[[], SQSClient]" = partial(_client, "sqs")
ssm: "Callable[[], SSMClient]" = partial(_client, "ssm")
ses: "Callable[[], SESClient]" = partial(_client, "ses")
sns: "Callable[[], SNSClient]" = partial(_client, "sns")

dynamodb_without_retries: "Callable[[], DynamoDBClient]" = partial(_client, "dynamodb", attempts=1, read_timeout=1)
"""One attempt of at most two seconds, for what a request can do without."""

lambda_: "Callable[[], LambdaClient]" = partial(_client, "lambda", attempts=1, read_timeout=10)
"""For synchronous calls. One attempt of at most eleven seconds: a slow function is not called twice."""

_send_once = partial(_client, attempts=1, connect_timeout=2, read_timeout=8)
ses_without_retries: "Callable[[], SESClient]" = partial(_send_once, "ses")
sns_without_retries: "Callable[[], SNSClient]" = partial(_send_once, "sns")
"""One attempt of at most ten seconds. A message may be sent despite a timeout, so the caller decides on retries."""


def send_dead_letter(url: str, body: str, attributes: Mapping[str, str]) -> None:
    """Sends to a dead-letter queue, with these message attributes. Leaves out empty ones, and cuts long ones."""
    sqs().send_message(
        QueueUrl=url,
        MessageBody=body,
        MessageAttributes={
            name: {"DataType": "String", "StringValue": text[:MAX_REASON_LENGTH]}
            for name, text in attributes.items()
            if text
        },
    )
