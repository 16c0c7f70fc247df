"""boto3 clients for an emulator's endpoint."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_apigateway import APIGatewayClient
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_ses import SESClient
    from mypy_boto3_ssm import SSMClient

REGION = "us-east-1"

# An emulator accepts any credentials; these keep a developer's real ones out of it.
DUMMY_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
}


@cache
def _session() -> boto3.Session:
    return boto3.Session(
        aws_access_key_id=DUMMY_CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=DUMMY_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    )


class Aws:
    """The clients of one endpoint, created when first needed."""

    def __init__(self, endpoint_url: str) -> None:
        """``endpoint_url``: the address of all services of the emulator, e.g. http://127.0.0.1:4566."""
        self.endpoint_url = endpoint_url
        self._clients: dict[str, Any] = {}

    # boto3's clients are classes made at run time: only the typed properties below have a useful type.
    def client(self, service: str) -> Any:
        """A boto3 client for ``service``, e.g. "dynamodb"; the same one for every call."""
        if service not in self._clients:
            self._clients[service] = self._new(service)
        return self._clients[service]

    def _new(self, service: str) -> Any:
        return _session().client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.endpoint_url,
            config=Config(
                connect_timeout=5,
                read_timeout=60,
                retries={"mode": "standard", "max_attempts": 3},
                s3={"addressing_style": "path"},
                max_pool_connections=32,
            ),
        )

    @property
    def apigateway(self) -> APIGatewayClient:
        """REST APIs."""
        return self.client("apigateway")  # type: ignore[no-any-return]

    @property
    def cloudformation(self) -> CloudFormationClient:
        """Stacks and change sets."""
        return self.client("cloudformation")  # type: ignore[no-any-return]

    @property
    def dynamodb(self) -> DynamoDBClient:
        """Tables."""
        return self.client("dynamodb")  # type: ignore[no-any-return]

    @property
    def lambda_(self) -> LambdaClient:
        """Functions."""
        return self.client("lambda")  # type: ignore[no-any-return]

    @property
    def s3(self) -> S3Client:
        """Buckets."""
        return self.client("s3")  # type: ignore[no-any-return]

    @property
    def ses(self) -> SESClient:
        """E-mail."""
        return self.client("ses")  # type: ignore[no-any-return]

    @property
    def ssm(self) -> SSMClient:
        """Parameters."""
        return self.client("ssm")  # type: ignore[no-any-return]


class AccountAws(Aws):
    """The clients of the AWS account whose credentials the environment holds. Made only on an operator's command."""

    def __init__(self) -> None:
        super().__init__(endpoint_url="")

    def _new(self, service: str) -> Any:
        return boto3.client(service)  # type: ignore[call-overload]
