"""After an outage: everything that failed for one reason is tried again, a page at a time, each message once."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from notifications_service.application.failures import FailedBy
from notifications_service.application.ports import DueDelivery, NoPosition, Position, Refused
from notifications_service.domain.kinds import Channel
from tests.depth import at_depth
from tests.fakes.post_office import Post, event
from tests.support.clock import NOON
from tests.support.interleaving import Interleaver
from tests.support.mortality import Mortality, ProcessDied
from tests.support.operator_log import OperatorLog

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.adapter

MINUTE = timedelta(minutes=1)
REJECTED = FailedBy("MessageRejected")


def give_up(post: Post, number: int, reason: str = "MessageRejected") -> list[str]:
    """So many members whose message was given up, a minute apart; afterwards the provider is well again."""
    post.providers[Channel.EMAIL].down = Refused(reason)
    members = []
    for _ in range(number):
        members.append(post.services.join().id)
        post.handle_event(event("SessionsRevoked", members[-1], reason="password_changed", epoch=1), "c")
        post.work()
        post.clock.advance(MINUTE)
    post.providers[Channel.EMAIL].down = None
    return members


def all_of(post: Post, by: FailedBy, limit: int = 2) -> int:
    """What an operator does: on with the cursor until there is none."""
    total, position = 0, None
    while True:
        retried, position = post.failures.retry_all(by, limit, position)
        total += retried
        if position is None:
            return total


def left(post: Post) -> list[str]:
    return [failed.user_id for failed in post.failures.list(100, None)[0]]


def told(post: Post) -> list[str]:
    return [sent.to for sent in post.sent()]


def test_all_that_failed_for_a_reason_goes_out_once(post: Post) -> None:
    throttled = give_up(post, 3, "Throttling")
    rejected = give_up(post, 5)

    assert all_of(post, REJECTED) == 5
    post.work()

    assert sorted(told(post)) == sorted(rejected)
    assert left(post) == throttled[::-1]
    assert all_of(post, REJECTED) == 0
    assert post.work() == []


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, None, [0, 1, 2, 3, 4]),
        (2, None, [2, 3, 4]),
        (None, 2, [0, 1]),
        (1, 3, [1, 2]),
        (5, None, []),
        (2, 3, [2]),
    ],
)
def test_since_then_and_before_then(post: Post, since: int | None, until: int | None, expected: list[int]) -> None:
    members = give_up(post, 5)

    by = FailedBy(
        "MessageRejected",
        since=NOON + since * MINUTE if since is not None else None,
        until=NOON + until * MINUTE if until is not None else None,
    )

    assert all_of(post, by) == len(expected)
    post.work()
    assert sorted(told(post)) == sorted(members[number] for number in expected)


def test_of_one_channel(post: Post) -> None:
    members = give_up(post, 2)

    assert all_of(post, FailedBy("MessageRejected", Channel.SMS)) == 0
    assert left(post) == members[::-1]
    assert all_of(post, FailedBy("MessageRejected", Channel.EMAIL)) == 2


def test_what_fails_again_is_not_tried_without_end(post: Post) -> None:
    give_up(post, 5)
    post.providers[Channel.EMAIL].down = Refused("MessageRejected")
    tries, position = post.providers[Channel.EMAIL].tries, None

    for _ in range(3):
        _, position = post.failures.retry_all(REJECTED, 2, position)
        post.work()
        post.clock.advance(MINUTE)

    assert position is None
    assert post.providers[Channel.EMAIL].tries == tries + 5
    assert len(left(post)) == 5


def test_one_call_tells_the_sender_of_each_member_once(post: Post) -> None:
    (member,) = give_up(post, 1)
    post.providers[Channel.EMAIL].down = Refused("MessageRejected")
    post.handle_event(event("SessionsRevoked", member, reason="password_changed", epoch=2), "c")
    post.work()
    post.providers[Channel.EMAIL].down = None

    assert post.failures.retry_all(REJECTED, 100, None) == (2, None)

    assert [task for _, task in post.queue.messages] == [DueDelivery(member, Channel.EMAIL)]
    post.work()
    assert post.lines(member) == ["password_changed -"] * 2


def test_a_queue_that_takes_nothing_makes_it_slower_only(post: Post, log: OperatorLog) -> None:
    members = give_up(post, 3)

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError

    taken, post.queue.put = post.queue.put, refuse  # type: ignore[method-assign]
    retried, position = post.failures.retry_all(REJECTED, 2, None)
    post.queue.put = taken  # type: ignore[method-assign]

    assert (retried, position is None) == (2, False)
    assert [line["messages"] for line in log.lines if line.get("message") == "tasks not queued"] == [2]
    post.minute()
    assert sorted(told(post)) == sorted(members[1:])


def test_a_position_outside_of_what_was_asked_for_is_none(post: Post) -> None:
    give_up(post, 3)
    _, position = post.failures.retry_all(FailedBy("nothing"), 1, None)
    assert position is not None

    for since, until in ((NOON + 10 * MINUTE, None), (None, NOON - MINUTE)):
        with pytest.raises(NoPosition):
            post.failures.retry_all(FailedBy("nothing", since=since, until=until), 1, position)


@pytest.mark.parametrize("seed", range(at_depth(quick=2, full=6)))
def test_two_administrators_at_once_begin_each_message_once(dynamodb: "DynamoDBClient", seed: int) -> None:
    dice = Interleaver(random.Random(seed))
    post = Post(lambda: dynamodb, step=dice.step)
    members = give_up(post, 4)
    counts: list[int] = []

    def ask(limit: int) -> Callable[[], None]:
        return lambda: counts.append(all_of(post, REJECTED, limit))

    dice.run([ask(2), ask(3), post.work])
    post.work()

    assert sum(counts) == 4
    assert sorted(told(post)) == sorted(members)


@pytest.mark.parametrize("after", [False, True])
def test_a_process_that_dies_in_the_middle_leaves_nothing_undone(post: Post, after: bool) -> None:
    members = give_up(post, 3)
    number = 0
    while True:
        number += 1
        dying = post.dying(Mortality(number, after=after))
        try:
            all_of(dying, REJECTED)
        except ProcessDied:
            # Somebody asks again; whatever nobody was told of, the sweep finds.
            all_of(post, REJECTED)
            post.minute(3)
            assert left(post) == []
            assert sorted(told(post)) == sorted(members)
            for provider in post.providers.values():
                provider.sent.clear()
            members = give_up(post, 3)
            continue
        break
    assert number > len(members)


def made_up(**changes: object) -> Position:
    return {"id": "x", "user_id": "x", "channel": "email", "notice_id": "x", **changes}


@pytest.mark.parametrize("position", [{}, made_up(), made_up(channel="post")])
def test_a_made_up_position_is_none(post: Post, position: Position) -> None:
    with pytest.raises(NoPosition):
        post.failures.retry_all(REJECTED, 5, position)
