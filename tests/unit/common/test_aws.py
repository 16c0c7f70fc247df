"""How often and how long clients try."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from library_common import aws

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def fresh_clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    aws._client.cache_clear()
    yield
    aws._client.cache_clear()


@pytest.mark.parametrize(
    ("accessor", "attempts", "longest"),
    [(aws.dynamodb, 3, 12), (aws.sqs, 3, 12), (aws.dynamodb_without_retries, 1, 2), (aws.lambda_, 1, 11)],
)
def test_attempts_are_counted_with_the_first(accessor: Callable[[], Any], attempts: int, longest: float) -> None:
    config = accessor().meta.config

    assert config.retries["total_max_attempts"] == attempts
    assert attempts * (config.connect_timeout + config.read_timeout) <= longest
