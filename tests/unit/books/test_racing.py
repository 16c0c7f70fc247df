"""Lost races are run again a bounded number of times, with random pauses."""

import pytest

from books_service.application.racing import RetryPolicy
from library_common.problems import ServiceUnavailable

pytestmark = pytest.mark.unit


def test_pauses_grow_to_a_limit_and_end() -> None:
    pauses: list[float] = []
    tries = RetryPolicy(sleep=pauses.append, jitter=lambda: 1.0, at_most=8).tries()
    for _ in range(7):
        tries.again()
    with pytest.raises(ServiceUnavailable) as gave_up:
        tries.again()
    assert pauses == [0.02, 0.04, 0.08, 0.16, 0.2, 0.2, 0.2]
    assert gave_up.value.headers == {"Retry-After": "1"}


def test_every_request_has_tries_of_its_own() -> None:
    retries = RetryPolicy(sleep=lambda _: None, jitter=lambda: 0.5, at_most=2)
    retries.tries().again()
    retries.tries().again()
