"""Announcements: to whom, when, once each, whatever happens on the way."""

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from library_common.access import Caller
from library_common.idempotency import Ticket
from library_common.ids import new_id
from library_common.problems import IdempotencyKeyReused
from notifications_service.adapters.broadcasts import DynamoBroadcasts
from notifications_service.application.api_ports import Wish
from notifications_service.application.ports import DueBroadcast
from notifications_service.application.sending import Sending
from notifications_service.domain.broadcasts import Audience
from notifications_service.domain.errors import AnnouncementDone, AnnouncementNotFound, InvalidFields
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.preferences import Preferences
from tests.depth import at_depth
from tests.fakes.post_office import TABLE, Post, event
from tests.support.clock import NOON
from tests.support.interleaving import Interleaver
from tests.support.mortality import ProcessDied

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.adapter

CLOSED = {"subject": "Closed on Friday", "message": "We paint the walls."}
STAFF = Caller("person", "L")


def wish(user_ids: tuple[str, ...] = (), **details: Any) -> Wish:
    return Wish(Kind.ANNOUNCEMENT, CLOSED, by="user:L", user_ids=user_ids, status="active", **details)


def test_everybody_is_told_once(post: Post) -> None:
    members = [post.neighbours.join() for _ in range(7)]

    post.announce.announce(wish(), None)
    post.work()
    post.minute(3)

    assert sorted(message.to for message in post.sent()) == sorted(member.id for member in members)
    assert {message.text for message in post.sent()} == {"announcement Closed on Friday"}
    assert [post.listed(member.id) for member in members] == [["announcement"]] * 7
    post.minute(10)
    assert len(post.sent()) == 7


def test_members_by_name_are_told_and_nobody_else(post: Post) -> None:
    members = [post.neighbours.join() for _ in range(60)]
    chosen = tuple(member.id for member in members[:55])

    post.announce.announce(wish(chosen), None)
    post.work()
    post.minute(3)

    assert sorted(message.to for message in post.sent()) == sorted(chosen)


@pytest.mark.parametrize("named", [True, False])
def test_what_it_said_and_whom_it_named_is_kept_no_longer_than_needed(
    post: Post, named: bool, dynamodb: "DynamoDBClient"
) -> None:
    members = tuple(post.neighbours.join().id for _ in range(3))
    announced, _ = post.announce.announce(wish(members if named else (), send_at=NOON + timedelta(hours=1)), None)
    before = stored(dynamodb, announced)
    assert CLOSED["message"] in before
    assert (members[0] in before) is named

    post.until(NOON + timedelta(hours=1))

    after = stored(dynamodb, announced)
    assert not any(text in after for text in (*CLOSED.values(), *members))
    kept = post.broadcasts.get(announced)
    assert (kept.kind, kept.told, kept.by, kept.done) == (Kind.ANNOUNCEMENT, 3, "user:L", True)
    assert len(post.sent()) == 3
    assert post.do(DueBroadcast(announced)) == "over"


def stored(dynamodb: "DynamoDBClient", broadcast_id: str) -> str:
    """The announcement as it lies there."""
    return str(
        dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": f"BROADCAST#{broadcast_id}"}, "sk": {"S": "BROADCAST"}})
    )


def test_the_same_request_again_is_the_same_announcement(post: Post) -> None:
    post.neighbours.join()
    ticket = Ticket.of(STAFF, "POST /api/notifications/send", "key", "{}")
    first, replayed = post.announce.announce(wish(), ticket)

    again, replayed_again = post.announce.announce(wish(), ticket)

    assert (again, replayed, replayed_again) == (first, False, True)
    post.work()
    post.minute(3)
    assert len(post.sent()) == 1


def test_a_request_repeated_after_its_moment_is_still_the_same(post: Post) -> None:
    ann = post.neighbours.join()
    sending = Sending(post.announce, post.clock)
    asked = wish((ann.id,), send_at=NOON + timedelta(seconds=5))
    ticket = Ticket.of(STAFF, "POST /api/notifications/send", "key", "{}")
    first = sending.send(asked, ticket)
    post.until(NOON + timedelta(seconds=7))

    assert sending.send(asked, ticket) == (first[0], True)
    with pytest.raises(IdempotencyKeyReused):
        sending.send(asked, Ticket.of(STAFF, "POST /api/notifications/send", "key", "{ }"))
    for other in (None, Ticket.of(STAFF, "POST /api/notifications/send", "another key", "{}")):
        with pytest.raises(InvalidFields):
            sending.send(asked, other)
    assert len(post.sent()) == 1

    post.clock.advance(timedelta(hours=25))
    with pytest.raises(InvalidFields):
        sending.send(asked, ticket)


def test_one_for_later_goes_out_then(post: Post) -> None:
    ann = post.neighbours.join()
    post.announce.announce(wish(send_at=NOON + timedelta(days=2)), None)
    post.until(NOON + timedelta(days=1))
    assert (post.listed(ann.id), post.sent()) == ([], [])

    post.until(NOON + timedelta(days=2))

    assert (post.listed(ann.id), len(post.sent())) == (["announcement"], 1)


def test_chosen_ways_count_unless_the_member_wished_otherwise(post: Post) -> None:
    ann = post.neighbours.join(phone="+254711222333", takes_sms=True)
    ben = post.neighbours.join(phone="+254711222334", takes_sms=True)
    post.wishes.stored[ben.id] = Preferences(channels={Kind.ANNOUNCEMENT: (Channel.EMAIL,)})

    post.announce.announce(wish(channels=(Channel.SMS,)), None)
    post.work()
    post.minute(3)

    assert [message.to for message in post.sent(Channel.SMS)] == [ann.id]
    assert post.sent() == []
    assert [post.listed(member.id) for member in (ann, ben)] == [[], ["announcement"]]


@pytest.mark.parametrize(
    ("wished", "chosen", "listed"),
    [
        ((Channel.EMAIL,), (Channel.SMS,), True),
        ((Channel.PUSH, Channel.SMS), (Channel.EMAIL, Channel.IN_APP), True),
        ((Channel.EMAIL, Channel.SMS), (Channel.SMS,), False),
        ((), (Channel.EMAIL, Channel.IN_APP), False),
        ((), None, False),
    ],
)
def test_an_announcement_that_no_chosen_way_can_carry_is_in_the_list_unless_nothing_is_wanted(
    post: Post, wished: tuple[Channel, ...], chosen: tuple[Channel, ...] | None, listed: bool
) -> None:
    ann = post.neighbours.join(phone="+254711222333", takes_sms=True)
    post.wishes.stored[ann.id] = Preferences(channels={Kind.ANNOUNCEMENT: wished})

    announced, _ = post.announce.announce(wish(channels=chosen), None)
    post.work()
    post.minute(3)

    assert post.listed(ann.id) == ["announcement"] * listed
    assert post.announce.find(announced).told == (1 if wished else 0), "who wants nothing is told nothing"


def test_told_are_those_it_was_noted_for(post: Post) -> None:
    ann, ben, eve = (post.neighbours.join() for _ in range(3))
    post.wishes.stored[ben.id] = Preferences(channels={Kind.ANNOUNCEMENT: ()})
    post.hear(event("MemberErased", eve.id), "c-1")

    announced, _ = post.announce.announce(wish((ann.id, ben.id, eve.id, new_id())), None)
    post.work()
    post.minute(3)

    # The last one is nobody's id, of which only users could tell.
    assert post.announce.find(announced).told == 2
    assert [message.to for message in post.sent()] == [ann.id]


def test_who_was_told_before_a_process_died_is_told_once_and_counts_once(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = tuple(post.neighbours.join().id for _ in range(3))
    announced, _ = post.announce.announce(wish(members), None)
    task = post.queue.receive()
    assert task is not None

    def die(*_: Any) -> None:
        raise ProcessDied("when all were told, and nothing noted")

    with monkeypatch.context() as dying:
        dying.setattr(DynamoBroadcasts, "advance", die)
        with pytest.raises(ProcessDied):
            post.do(task)
    assert post.announce.find(announced).told == 0

    post.minute(5)

    assert post.announce.find(announced).told == 3
    assert sorted(message.to for message in post.sent()) == sorted(members)


def test_how_far_one_is_can_be_looked_up(post: Post) -> None:
    members = [post.neighbours.join() for _ in range(3)]
    later = NOON + timedelta(days=2)
    its_id, _ = post.announce.announce(wish(send_at=later, role="patron"), None)

    waiting = post.announce.find(its_id)
    assert (waiting.state, waiting.told, waiting.send_at, waiting.by) == ("waiting", 0, later, "user:L")
    assert (waiting.to, waiting.data) == (Audience("patron", "active"), CLOSED)

    post.until(later)
    done = post.announce.find(its_id)
    assert (done.state, done.told) == ("done", len(members))
    with pytest.raises(AnnouncementNotFound):
        post.announce.find(new_id())


def test_one_that_is_cancelled_before_its_moment_is_told_to_nobody(post: Post) -> None:
    ann = post.neighbours.join()
    its_id, _ = post.announce.announce(wish(send_at=NOON + timedelta(minutes=10)), None)

    for by in ("user:M", "user:N"):
        post.announce.cancel(its_id, by)
    post.minute(15)

    assert (post.listed(ann.id), post.sent()) == ([], [])
    cancelled = post.announce.find(its_id)
    assert (cancelled.state, cancelled.cancelled_by, cancelled.told) == ("cancelled", "user:M", 0)
    assert post.sweep() == 0


def test_one_that_is_cancelled_half_way_goes_no_further(post: Post) -> None:
    members = [post.neighbours.join() for _ in range(6)]
    its_id, _ = post.announce.announce(wish(), None)
    seconds = iter(range(0, 1000, 10))
    slow = post.tell_everybody
    object.__setattr__(slow, "monotonic", lambda: next(seconds))
    assert slow(its_id) == "continued"
    assert post.announce.find(its_id).state == "running"

    post.announce.cancel(its_id, "user:M")
    post.work()
    post.minute(5)

    told = [member for member in members if post.listed(member.id)]
    assert 0 < len(told) < len(members)
    assert post.announce.find(its_id).told == len(told)


def test_one_that_is_done_cannot_be_cancelled(post: Post) -> None:
    post.neighbours.join()
    its_id, _ = post.announce.announce(wish(), None)
    post.work()

    with pytest.raises(AnnouncementDone):
        post.announce.cancel(its_id, "user:M")
    assert post.announce.find(its_id).state == "done"
    with pytest.raises(AnnouncementNotFound):
        post.announce.cancel(new_id(), "user:M")


@pytest.mark.parametrize("seed", range(at_depth(quick=3, full=12)))
def test_cancelled_while_it_is_worked_on_it_ends_one_way_or_the_other(dynamodb: "DynamoDBClient", seed: int) -> None:
    dice = Interleaver(random.Random(seed))
    post = Post(lambda: dynamodb, step=dice.step)
    members = [post.neighbours.join() for _ in range(4)]
    its_id, _ = post.announce.announce(wish(), None)
    refused: list[Exception] = []

    def cancel() -> None:
        try:
            post.announce.cancel(its_id, "user:M")
        except AnnouncementDone as failure:
            refused.append(failure)

    dice.run([lambda: post.tell_everybody(its_id), cancel])
    post.minute(5)

    told = sum(bool(post.listed(member.id)) for member in members)
    assert post.announce.find(its_id).state == ("done" if refused else "cancelled")
    # But for the page that was being worked on, what is noted is what was told.
    assert 0 <= told - post.announce.find(its_id).told <= post.neighbours.page
    assert told == len(members) or not refused


def test_users_being_down_makes_it_late(post: Post) -> None:
    members = [post.neighbours.join() for _ in range(5)]
    post.neighbours.users_down = True
    post.announce.announce(wish(), None)
    assert post.work() == ["waits"]

    post.neighbours.users_down = False
    post.minute(10)

    assert len(post.sent()) == len(members)


def test_a_long_one_is_worked_through_in_turns(post: Post) -> None:
    members = [post.neighbours.join() for _ in range(6)]
    post.announce.announce(wish(), None)
    seconds = iter(range(0, 1000, 20))
    task = post.queue.receive()
    assert task is not None
    slow = post.tell_everybody
    object.__setattr__(slow, "monotonic", lambda: next(seconds))

    assert slow(task.broadcast_id) == "continued"  # type: ignore[union-attr]
    post.work()
    post.minute(3)

    assert len(post.sent()) == len(members)


def test_an_erased_member_is_passed_over(post: Post) -> None:
    ann, ben = post.neighbours.join(), post.neighbours.join()
    post.hear(event("MemberErased", ann.id), "c-1")

    post.announce.announce(wish(), None)
    post.work()
    post.minute(3)

    assert [message.to for message in post.sent()] == [ben.id]
