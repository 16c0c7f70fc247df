"""Where the progress of the retention job is saved, checked against the fake and against the table."""

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from library_common.dynamodb import ABSENT, Table
from library_common.ids import derived_id
from library_common.versions import VersionConflict
from loans_service.adapters.retention import DynamoProgressStore
from loans_service.application.ports import ListedMember, ProgressStore, RetentionProgress
from tests.adapter.loans.conftest import TABLE
from tests.fakes.loans import FakeProgressStore
from tests.support.clock import NOON

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.adapter

BEGUN = RetentionProgress(day=date(2026, 11, 21))
HALF_WAY = replace(
    BEGUN,
    after=ListedMember(derived_id("member"), NOON),
    walked=True,
    walk_after={"pk": "MEMBER#1", "sk": "ACCOUNT"},
    anonymised=7,
    keeping_history=1,
    postponed=2,
    failed=3,
)
THROUGH = replace(HALF_WAY, after=None, walk_after=None, complete=True, postponed=0)


@pytest.fixture(params=["in memory", "on DynamoDB"])
def store(request: pytest.FixtureRequest) -> ProgressStore:
    if request.param == "in memory":
        return FakeProgressStore()
    client = request.getfixturevalue("dynamodb")
    return DynamoProgressStore(Table(TABLE, lambda: client))


def test_at_first_there_is_none(store: ProgressStore) -> None:
    assert store.current() is None


def test_what_was_saved_is_there(store: ProgressStore) -> None:
    saved = BEGUN
    for version, now in enumerate((BEGUN, HALF_WAY, THROUGH, BEGUN), 1):
        saved = store.save(replace(now, version=saved.version))
        assert saved == replace(now, version=version)
        assert store.current() == saved
        assert saved.finished is (now is THROUGH)


def test_progress_with_the_old_names_is_read_and_gets_the_new_ones(dynamodb: "DynamoDBClient") -> None:
    table = Table(TABLE, lambda: dynamodb)
    key = {"pk": "RETENTION", "sk": "ROUND"}
    counts = {"forgotten": 7, "keeping": 1, "put_off": 2, "failed": 3}
    after = {"member": derived_id("member"), "since": "2026-11-21T12:00:00Z"}
    place = {"pk": "MEMBER#1", "sk": "ACCOUNT"}
    old = {"day": "2026-11-21", "v": 4, "through": False, "after": after, "walked": True, "walk_after": place, **counts}
    table.put({**key, **old}, ABSENT)
    store = DynamoProgressStore(table)

    found = store.current()
    assert found == replace(HALF_WAY, version=4)

    store.save(found)
    assert store.current() == replace(HALF_WAY, version=5)
    names = {"pk", "sk", "day", "version", "complete", "after", "walked", "walk_after"}
    assert set(table.get(key) or {}) == names | {"anonymised", "keeping_history", "postponed", "failed"}


def test_of_two_runs_the_slower_one_saves_nothing(store: ProgressStore) -> None:
    first = store.save(BEGUN)
    with pytest.raises(VersionConflict):
        store.save(HALF_WAY)
    second = store.save(replace(HALF_WAY, version=first.version))

    with pytest.raises(VersionConflict):
        store.save(replace(THROUGH, version=first.version))

    assert store.current() == second
