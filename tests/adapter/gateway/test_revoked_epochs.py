"""Revoked epochs on a table in moto: what is written, what is seen of it and when, and what happens without it."""

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gateway_service.revoked_epochs import RETENTION, VIEW_SECONDS, RevocationView, RevokedEpochs
from library_common.access import Role
from library_common.dynamodb import Table
from library_common.tokens import ACCESS_LIFETIME, VerifiedToken
from tests.support.clock import NOON, FixedClock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.adapter

ADA, BEA = "01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAW"


def token(user_id: str = ADA, epoch: int = 0) -> VerifiedToken:
    return VerifiedToken(kind="person", subject=user_id, token_id="T", role=Role.PATRON, epoch=epoch)


class Counting:
    """Hands out the client, counts how often, and fails while `down`."""

    def __init__(self, client: "DynamoDBClient") -> None:
        self.client = client
        self.asked = 0
        self.down = False
        self.stumbles = 0

    def __call__(self) -> "DynamoDBClient":
        self.asked += 1
        self.stumbles -= 1
        if self.down or self.stumbles >= 0:
            raise ConnectionError("table down")
        return self.client


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def revoked(table: Table, clock: FixedClock) -> RevokedEpochs:
    return RevokedEpochs(table, clock)


@pytest.fixture
def source(dynamodb: "DynamoDBClient") -> Counting:
    return Counting(dynamodb)


@pytest.fixture
def view(source: Counting, clock: FixedClock) -> RevocationView:
    return RevocationView(Table("gateway", source), monotonic=clock.monotonic)


def test_tokens_before_the_epoch_are_revoked_for_this_member_only(revoked: RevokedEpochs, view: RevocationView) -> None:
    assert revoked.revoke_before(ADA, 2)

    assert [view.revokes(token(epoch=epoch)) for epoch in range(4)] == [True, True, False, False]
    assert not view.revokes(token(BEA))
    assert not view.revokes(VerifiedToken(kind="service", subject=ADA, token_id="T"))


@pytest.mark.parametrize("order", list(itertools.permutations([1, 2, 3, 3])))
def test_however_events_arrive_the_highest_epoch_stays(
    table: Table, revoked: RevokedEpochs, order: tuple[int, ...]
) -> None:
    news = [revoked.revoke_before(ADA, epoch) for epoch in order]

    item = table.get({"pk": "REVOKED", "sk": ADA})
    assert item is not None
    assert item["epoch"] == 3
    assert news.count(True) == len(set(itertools.accumulate(order, max))), "each time the highest grew"


def test_an_item_outlives_every_token_it_is_about(table: Table, revoked: RevokedEpochs) -> None:
    revoked.revoke_before(ADA, 1)

    item = table.get({"pk": "REVOKED", "sk": ADA})
    assert item is not None
    assert item["expires_at_epoch"] == int((NOON + RETENTION).timestamp())
    assert timedelta(minutes=1) + ACCESS_LIFETIME < RETENTION


def test_the_table_is_asked_four_times_a_minute_however_many_tokens_come(
    revoked: RevokedEpochs, view: RevocationView, source: Counting, clock: FixedClock
) -> None:
    revoked.revoke_before(ADA, 1)
    for _ in range(600):
        assert view.revokes(token())
        clock.sleep(0.1)

    assert source.asked == 60 / VIEW_SECONDS


def test_a_revocation_is_seen_within_the_views_age(
    revoked: RevokedEpochs, view: RevocationView, clock: FixedClock
) -> None:
    assert not view.revokes(token())
    revoked.revoke_before(ADA, 1)

    clock.sleep(VIEW_SECONDS)

    assert view.revokes(token())


def test_more_revocations_than_one_answer_holds_are_all_seen(table: Table, view: RevocationView) -> None:
    everybody = [f"{number:026}" for number in range(40)]
    big = RevokedEpochs(Padded(table), FixedClock())
    for user_id in everybody:
        big.revoke_before(user_id, 1)

    assert all(view.revokes(token(user_id)) for user_id in everybody)


class Padded(Table):
    """Writes items so large that forty are more than a megabyte."""

    def __init__(self, table: Table) -> None:
        super().__init__(table.name, table._client)

    def put(self, item: dict[str, object], condition: object) -> None:
        super().put({**item, "padding": "x" * 40_000}, condition)  # type: ignore[arg-type]  # handed on as it is


# -- the table cannot be read -----------------------------------------------------------------------


def test_the_last_view_serves_on_and_every_failure_is_counted(
    revoked: RevokedEpochs,
    view: RevocationView,
    source: Counting,
    clock: FixedClock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    revoked.revoke_before(ADA, 1)
    assert view.revokes(token())
    source.down = True

    for _ in range(6 * 60 * 4):
        clock.sleep(VIEW_SECONDS)
        assert view.revokes(token())
        assert not view.revokes(token(BEA))

    assert source.asked == 1 + 2 * 6 * 60 * 4
    assert capsys.readouterr().out.count('"RevocationsUnread":[1.0]') == 6 * 60 * 4


def test_a_failure_that_passes_costs_no_time(revoked: RevokedEpochs, view: RevocationView, source: Counting) -> None:
    revoked.revoke_before(ADA, 1)
    source.stumbles = 1

    assert view.revokes(token())


def test_a_process_that_never_saw_the_table_lets_good_tokens_in_and_does_not_ask_each_time(
    revoked: RevokedEpochs, view: RevocationView, source: Counting, clock: FixedClock
) -> None:
    revoked.revoke_before(ADA, 1)
    source.down = True
    assert [view.revokes(token()) for _ in range(100)] == [False] * 100
    assert source.asked == 2

    source.down = False
    clock.sleep(VIEW_SECONDS)

    assert view.revokes(token())
