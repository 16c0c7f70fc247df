"""A write that lost a race is attempted again a limited number of times, with random pauses."""

from typing import NoReturn

import pytest

from books_service.application.optimistic_retries import OptimisticRetries
from library_common.problems import ServiceUnavailable
from library_common.versions import VersionConflict

pytestmark = pytest.mark.unit


def lost(conflict: Exception | None) -> NoReturn:
    raise VersionConflict


def test_pauses_grow_to_a_limit_and_end() -> None:
    pauses: list[float] = []
    retries = OptimisticRetries(sleep=pauses.append, jitter=lambda: 1.0, at_most=8)
    for _ in range(2):  # every request has attempts of its own
        pauses.clear()
        with pytest.raises(ServiceUnavailable) as gave_up:
            retries(lost)
        assert pauses == [0.02, 0.04, 0.08, 0.16, 0.2, 0.2, 0.2]
        assert gave_up.value.headers == {"Retry-After": "1"}


def test_an_attempt_is_told_what_the_one_before_met() -> None:
    conflicts: list[Exception | None] = []

    def attempt(conflict: Exception | None) -> str:
        conflicts.append(conflict)
        if len(conflicts) < 3:
            raise VersionConflict(len(conflicts))
        return "written"

    assert OptimisticRetries(sleep=lambda _: None, jitter=lambda: 0.5)(attempt) == "written"
    assert [getattr(conflict, "current", None) for conflict in conflicts] == [None, 1, 2]


def test_other_failures_end_it() -> None:
    with pytest.raises(VersionConflict):
        OptimisticRetries(sleep=lambda _: None, jitter=lambda: 0.5)(lost, on=(KeyError,))
