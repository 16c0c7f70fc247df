"""Where rounds are noted, checked against the fake and against the table."""

from dataclasses import replace
from datetime import date

import pytest

from library_common.dynamodb import Table
from library_common.ids import derived_id
from loans_service.adapters.rounds import DynamoRounds
from loans_service.application.forgetting_ports import AnotherRun, Listed, Round, Rounds
from tests.adapter.loans.conftest import TABLE
from tests.fakes.loans import FakeRounds
from tests.support.clock import NOON

pytestmark = pytest.mark.adapter

BEGUN = Round(day=date(2026, 11, 21))
HALF_WAY = replace(
    BEGUN,
    after=Listed(derived_id("member"), NOON),
    walked=True,
    walk_after={"pk": "MEMBER#1", "sk": "ACCOUNT"},
    forgotten=7,
    keeping=1,
    put_off=2,
    failed=3,
)
THROUGH = replace(HALF_WAY, after=None, walk_after=None, through=True, put_off=0)


@pytest.fixture(params=["in memory", "on DynamoDB"])
def rounds(request: pytest.FixtureRequest) -> Rounds:
    if request.param == "in memory":
        return FakeRounds()
    client = request.getfixturevalue("dynamodb")
    return DynamoRounds(Table(TABLE, lambda: client))


def test_at_first_there_is_none(rounds: Rounds) -> None:
    assert rounds.current() is None


def test_what_was_noted_is_there(rounds: Rounds) -> None:
    noted = BEGUN
    for version, now in enumerate((BEGUN, HALF_WAY, THROUGH, BEGUN), 1):
        noted = rounds.note(replace(now, version=noted.version))
        assert noted == replace(now, version=version)
        assert rounds.current() == noted
        assert noted.finished is (now is THROUGH)


def test_of_two_runs_the_slower_one_notes_nothing(rounds: Rounds) -> None:
    first = rounds.note(BEGUN)
    with pytest.raises(AnotherRun):
        rounds.note(HALF_WAY)
    second = rounds.note(replace(HALF_WAY, version=first.version))

    with pytest.raises(AnotherRun):
        rounds.note(replace(THROUGH, version=first.version))

    assert rounds.current() == second
