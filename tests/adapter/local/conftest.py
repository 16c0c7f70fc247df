"""An endpoint with CloudFormation in memory and everything else in moto."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from localstack.embedded.aws import REGION, Aws
from tests.fakes.cloudformation import FakeCloudFormation
from tests.support.moto_engine import aws_in_moto


class MotoAws(Aws):
    """Implements `Aws`: cloudformation in memory, other clients of moto."""

    def __init__(self, cloudformation: FakeCloudFormation) -> None:
        super().__init__("http://emulator.test")
        self._in_memory = cloudformation

    def client(self, service: str) -> Any:
        if service == "cloudformation":
            return self._in_memory
        return boto3.client(service)  # type: ignore[call-overload]  # a name that is known only here


@pytest.fixture
def cloudformation() -> FakeCloudFormation:
    return FakeCloudFormation()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, cloudformation: FakeCloudFormation) -> Iterator[Aws]:
    for name, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "DEFAULT_REGION": REGION}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with aws_in_moto():
        yield MotoAws(cloudformation)
