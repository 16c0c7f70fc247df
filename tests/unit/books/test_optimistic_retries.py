"""A write that lost a race is attempted again a limited number of times, with random pauses."""

import pytest

from books_service.application.optimistic_retries import OptimisticRetries
from library_common.problems import ServiceUnavailable

pytestmark = pytest.mark.unit


def test_pauses_grow_to_a_limit_and_end() -> None:
    pauses: list[float] = []
    attempts = OptimisticRetries(sleep=pauses.append, jitter=lambda: 1.0, at_most=8).attempts()
    for _ in range(7):
        attempts.again()
    with pytest.raises(ServiceUnavailable) as gave_up:
        attempts.again()
    assert pauses == [0.02, 0.04, 0.08, 0.16, 0.2, 0.2, 0.2]
    assert gave_up.value.headers == {"Retry-After": "1"}


def test_every_request_has_attempts_of_its_own() -> None:
    retries = OptimisticRetries(sleep=lambda _: None, jitter=lambda: 0.5, at_most=2)
    retries.attempts().again()
    retries.attempts().again()
