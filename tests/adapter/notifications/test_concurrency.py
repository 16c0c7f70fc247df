"""Several at once: senders, reminders, consumers, in every order that dice can think of."""

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from library_common.ids import new_id
from notifications_service.domain.kinds import Channel
from tests.depth import at_depth
from tests.fakes.post_office import TABLE, Post, event, lent, renewed
from tests.support.clock import NOON
from tests.support.interleaving import Interleaver
from tests.support.tables import create_table, dynamodb_in_moto

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.adapter


@pytest.mark.parametrize("seed", range(at_depth(quick=3, full=12)))
def test_two_senders_and_a_late_notice_make_each_message_once(dynamodb: "DynamoDBClient", seed: int) -> None:
    dice = Interleaver(random.Random(seed))
    post = Post(lambda: dynamodb, step=dice.step)
    ann = post.services.join()
    for number in range(3):
        post.handle_event(lent(ann.id, f"T{number}", loan_id=f"L{number}"), "c")
    post.clock.advance(timedelta(minutes=2))
    late = event("SessionsRevoked", ann.id, reason="password_changed", epoch=1)

    dice.run(
        [
            lambda: post.send(ann.id, Channel.EMAIL),
            lambda: post.send(ann.id, Channel.EMAIL),
            lambda: post.handle_event(late, "c"),
            lambda: post.handle_event(late, "c"),
        ]
    )
    post.minute(3)

    assert sorted(post.lines(ann.id)) == ["loan_issued T0", "loan_issued T1", "loan_issued T2", "password_changed -"]


@pytest.mark.parametrize("seed", range(at_depth(quick=3, full=12)))
def test_two_processes_make_one_notice_of_a_reminder(dynamodb: "DynamoDBClient", seed: int) -> None:
    dice = Interleaver(random.Random(seed))
    post = Post(lambda: dynamodb, step=dice.step)
    ann = post.services.join()
    loan = lent(ann.id)
    post.services.due_dates["L1"] = loan.data["due_date"]
    post.handle_event(loan, "c")
    post.clock.advance(timedelta(days=12))
    post.sweep()
    tasks = [task for _, task in post.queue.messages if type(task).__name__ == "DueReminder"]
    assert len(tasks) == 1

    dice.run([lambda: post.do(tasks[0]), lambda: post.do(tasks[0]), lambda: post.do(tasks[0])])
    post.minute(3)

    assert post.lines(ann.id).count("loan_due_soon Dune") == 1
    assert post.listed(ann.id) == ["loan_issued", "loan_due_soon"]


@pytest.mark.parametrize("seed", range(at_depth(quick=3, full=12)))
def test_erasure_leaves_nothing_whatever_it_meets(dynamodb: "DynamoDBClient", seed: int) -> None:
    dice = Interleaver(random.Random(seed))
    post = Post(lambda: dynamodb, step=dice.step)
    ann = post.services.join(phone="+254711222333", takes_sms=True)
    post.handle_event(event("SessionsRevoked", ann.id, reason="password_changed", epoch=1), "c")

    dice.run(
        [
            lambda: post.handle_event(event("MemberErased", ann.id), "c"),
            lambda: post.handle_event(lent(ann.id), "c"),
            lambda: post.send(ann.id, Channel.EMAIL),
        ]
    )
    post.handle_event(event("MemberErased", ann.id), "c")
    post.minute(2)

    assert [item["sk"]["S"] for item in post.items(ann.id)] == ["ERASED"]


@pytest.fixture(scope="module")
def shared() -> Iterator["DynamoDBClient"]:
    with pytest.MonkeyPatch.context() as patch, dynamodb_in_moto(patch) as client:
        create_table(client, "NotificationsTable", TABLE)
        yield client


@settings(
    max_examples=at_depth(quick=6, full=25),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    order=st.lists(st.integers(min_value=0, max_value=5), min_size=1, max_size=14),
    pauses=st.lists(st.integers(min_value=0, max_value=90), min_size=14, max_size=14),
)
def test_any_order_and_number_of_deliveries_tells_everything_once(
    shared: "DynamoDBClient", order: list[int], pauses: list[int]
) -> None:
    """Events come twice, late, and in any order; what a member gets does not depend on it."""
    post = Post(lambda: shared)
    # The table keeps what earlier examples left; members and loans are new each time.
    ann, loan_id = post.services.join(id=new_id()), new_id()
    loan = lent(ann.id, loan_id=loan_id)
    events = [
        loan,
        renewed(ann.id, loan, at=NOON + timedelta(days=1)),
        event("LoanReturned", ann.id, title="Dune", loan_id=loan_id),
        event("SessionsRevoked", ann.id, reason="password_changed", epoch=3),
        event("SessionsRevoked", ann.id, reason="role_changed", epoch=4),
        event("FineCalculated", ann.id, fine_id="F", amount={"amount": "0.25", "currency": "KES"}),
    ]
    kinds = ["loan_issued", "loan_renewed", "loan_returned", "password_changed", None, "fine_charged"]

    for which, pause in zip(order, pauses, strict=False):
        post.handle_event(events[which], "c")
        post.clock.advance(timedelta(seconds=pause))
        post.work()
    post.minute(3)

    expected = sorted(kind for which, kind in enumerate(kinds) if which in order and kind)
    assert sorted(post.listed(ann.id)) == expected
    assert sorted(line.split()[0] for line in post.lines(ann.id)) == expected
