"""Announcements: to whom, when, once each, whatever happens on the way."""

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from library_common.access import Caller
from library_common.idempotency import Ticket
from library_common.ids import new_id
from library_common.problems import IdempotencyKeyReused
from notifications_service.adapters.announcements import DynamoAnnouncements
from notifications_service.application.announcements import AnnouncementRequest
from notifications_service.application.ports import DueAnnouncement
from notifications_service.domain.announcements import Audience
from notifications_service.domain.errors import AnnouncementDone, AnnouncementNotFound, InvalidFields
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.preferences import Preferences
from tests.fakes.post_office import TABLE, Post, event
from tests.support.clock import NOON
from tests.support.interleaving import Interleaver
from tests.support.mortality import ProcessDied

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.adapter

CLOSED = {"subject": "Closed on Friday", "message": "We paint the walls."}
STAFF = Caller("person", "L")


def announcement(user_ids: tuple[str, ...] = (), **details: Any) -> AnnouncementRequest:
    return AnnouncementRequest(Kind.ANNOUNCEMENT, CLOSED, by="user:L", user_ids=user_ids, status="active", **details)


def test_everybody_is_told_once(post: Post) -> None:
    members = [post.services.join() for _ in range(7)]

    post.announcements.send(announcement(), None)
    post.work()
    post.minute(3)

    assert sorted(message.to for message in post.sent()) == sorted(member.id for member in members)
    assert {message.text for message in post.sent()} == {"announcement Closed on Friday"}
    assert [post.listed(member.id) for member in members] == [["announcement"]] * 7
    post.minute(10)
    assert len(post.sent()) == 7


def test_members_by_name_are_told_and_nobody_else(post: Post) -> None:
    members = [post.services.join() for _ in range(60)]
    chosen = tuple(member.id for member in members[:55])

    post.announcements.send(announcement(chosen), None)
    post.work()
    post.minute(3)

    assert sorted(message.to for message in post.sent()) == sorted(chosen)


@pytest.mark.parametrize("named", [True, False])
def test_what_it_said_and_whom_it_named_is_kept_no_longer_than_needed(
    post: Post, named: bool, dynamodb: "DynamoDBClient"
) -> None:
    members = tuple(post.services.join().id for _ in range(3))
    announced, _ = post.announcements.send(
        announcement(members if named else (), send_at=NOON + timedelta(hours=1)), None
    )
    before = stored(dynamodb, announced)
    assert CLOSED["message"] in before
    assert (members[0] in before) is named

    post.until(NOON + timedelta(hours=1))

    after = stored(dynamodb, announced)
    assert not any(text in after for text in (*CLOSED.values(), *members))
    kept = post.announcement_store.get(announced)
    assert (kept.kind, kept.notified, kept.by, kept.done) == (Kind.ANNOUNCEMENT, 3, "user:L", True)
    assert len(post.sent()) == 3
    assert post.do(DueAnnouncement(announced)) == "already_done"


def stored(dynamodb: "DynamoDBClient", broadcast_id: str) -> str:
    """The announcement as it lies there."""
    return str(
        dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": f"BROADCAST#{broadcast_id}"}, "sk": {"S": "BROADCAST"}})
    )


def test_the_same_request_again_is_the_same_announcement(post: Post) -> None:
    post.services.join()
    ticket = Ticket.of(STAFF, "POST /api/notifications/send", "key", "{}")
    first, replayed = post.announcements.send(announcement(), ticket)

    again, replayed_again = post.announcements.send(announcement(), ticket)

    assert (again, replayed, replayed_again) == (first, False, True)
    post.work()
    post.minute(3)
    assert len(post.sent()) == 1


def test_a_request_repeated_after_its_moment_is_still_the_same(post: Post) -> None:
    ann = post.services.join()
    asked = announcement((ann.id,), send_at=NOON + timedelta(seconds=5))
    ticket = Ticket.of(STAFF, "POST /api/notifications/send", "key", "{}")
    first = post.announcements.send(asked, ticket)
    post.until(NOON + timedelta(seconds=7))

    assert post.announcements.send(asked, ticket) == (first[0], True)
    with pytest.raises(IdempotencyKeyReused):
        post.announcements.send(asked, Ticket.of(STAFF, "POST /api/notifications/send", "key", "{ }"))
    for other in (None, Ticket.of(STAFF, "POST /api/notifications/send", "another key", "{}")):
        with pytest.raises(InvalidFields):
            post.announcements.send(asked, other)
    assert len(post.sent()) == 1

    post.clock.advance(timedelta(hours=25))
    with pytest.raises(InvalidFields):
        post.announcements.send(asked, ticket)


def test_one_for_later_goes_out_then(post: Post) -> None:
    ann = post.services.join()
    post.announcements.send(announcement(send_at=NOON + timedelta(days=2)), None)
    post.until(NOON + timedelta(days=1))
    assert (post.listed(ann.id), post.sent()) == ([], [])

    post.until(NOON + timedelta(days=2))

    assert (post.listed(ann.id), len(post.sent())) == (["announcement"], 1)


def test_requested_channels_count_unless_the_member_chose_others(post: Post) -> None:
    ann = post.services.join(phone="+254711222333", takes_sms=True)
    ben = post.services.join(phone="+254711222334", takes_sms=True)
    post.preferences.stored[ben.id] = Preferences(channels={Kind.ANNOUNCEMENT: (Channel.EMAIL,)})

    post.announcements.send(announcement(channels=(Channel.SMS,)), None)
    post.work()
    post.minute(3)

    assert [message.to for message in post.sent(Channel.SMS)] == [ann.id]
    assert post.sent() == []
    assert [post.listed(member.id) for member in (ann, ben)] == [[], ["announcement"]]


@pytest.mark.parametrize(
    ("chosen", "requested", "listed"),
    [
        ((Channel.EMAIL,), (Channel.SMS,), True),
        ((Channel.PUSH, Channel.SMS), (Channel.EMAIL, Channel.IN_APP), True),
        ((Channel.EMAIL, Channel.SMS), (Channel.SMS,), False),
        ((), (Channel.EMAIL, Channel.IN_APP), False),
        ((), None, False),
    ],
)
def test_an_announcement_that_no_requested_channel_can_carry_is_in_the_list_unless_nothing_is_wanted(
    post: Post, chosen: tuple[Channel, ...], requested: tuple[Channel, ...] | None, listed: bool
) -> None:
    ann = post.services.join(phone="+254711222333", takes_sms=True)
    post.preferences.stored[ann.id] = Preferences(channels={Kind.ANNOUNCEMENT: chosen})

    announced, _ = post.announcements.send(announcement(channels=requested), None)
    post.work()
    post.minute(3)

    assert post.listed(ann.id) == ["announcement"] * listed
    assert post.announcements.find(announced).notified == (1 if chosen else 0), "who wants nothing is told nothing"


def test_told_are_those_it_was_noted_for(post: Post) -> None:
    ann, ben, eve = (post.services.join() for _ in range(3))
    post.preferences.stored[ben.id] = Preferences(channels={Kind.ANNOUNCEMENT: ()})
    post.handle_event(event("MemberErased", eve.id), "c-1")

    announced, _ = post.announcements.send(announcement((ann.id, ben.id, eve.id, new_id())), None)
    post.work()
    post.minute(3)

    # The last one is nobody's id, of which only users could tell.
    assert post.announcements.find(announced).notified == 2
    assert [message.to for message in post.sent()] == [ann.id]


def test_who_was_told_before_a_process_died_is_told_once_and_counts_once(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = tuple(post.services.join().id for _ in range(3))
    announced, _ = post.announcements.send(announcement(members), None)
    task = post.queue.receive()
    assert task is not None

    def die(*_: Any) -> None:
        raise ProcessDied("when all were told, and nothing noted")

    with monkeypatch.context() as dying:
        dying.setattr(DynamoAnnouncements, "advance", die)
        with pytest.raises(ProcessDied):
            post.do(task)
    assert post.announcements.find(announced).notified == 0

    post.minute(5)

    assert post.announcements.find(announced).notified == 3
    assert sorted(message.to for message in post.sent()) == sorted(members)


def test_how_far_one_is_can_be_looked_up(post: Post) -> None:
    members = [post.services.join() for _ in range(3)]
    later = NOON + timedelta(days=2)
    its_id, _ = post.announcements.send(announcement(send_at=later, role="patron"), None)

    waiting = post.announcements.find(its_id)
    assert (waiting.state, waiting.notified, waiting.send_at, waiting.by) == ("waiting", 0, later, "user:L")
    assert (waiting.to, waiting.data) == (Audience("patron", "active"), CLOSED)

    post.until(later)
    done = post.announcements.find(its_id)
    assert (done.state, done.notified) == ("done", len(members))
    with pytest.raises(AnnouncementNotFound):
        post.announcements.find(new_id())


def test_one_that_is_cancelled_before_its_moment_is_told_to_nobody(post: Post) -> None:
    ann = post.services.join()
    its_id, _ = post.announcements.send(announcement(send_at=NOON + timedelta(minutes=10)), None)

    for by in ("user:M", "user:N"):
        post.announcements.cancel(its_id, by)
    post.minute(15)

    assert (post.listed(ann.id), post.sent()) == ([], [])
    cancelled = post.announcements.find(its_id)
    assert (cancelled.state, cancelled.cancelled_by, cancelled.notified) == ("cancelled", "user:M", 0)
    assert post.sweep() == 0


def test_one_that_is_cancelled_half_way_goes_no_further(post: Post) -> None:
    members = [post.services.join() for _ in range(6)]
    its_id, _ = post.announcements.send(announcement(), None)
    seconds = iter(range(0, 1000, 10))
    slow = post.deliver_announcement
    object.__setattr__(slow, "monotonic", lambda: next(seconds))
    assert slow(its_id) == "continued"
    assert post.announcements.find(its_id).state == "running"

    post.announcements.cancel(its_id, "user:M")
    post.work()
    post.minute(5)

    told = [member for member in members if post.listed(member.id)]
    assert 0 < len(told) < len(members)
    assert post.announcements.find(its_id).notified == len(told)


def test_one_that_is_done_cannot_be_cancelled(post: Post) -> None:
    post.services.join()
    its_id, _ = post.announcements.send(announcement(), None)
    post.work()

    with pytest.raises(AnnouncementDone):
        post.announcements.cancel(its_id, "user:M")
    assert post.announcements.find(its_id).state == "done"
    with pytest.raises(AnnouncementNotFound):
        post.announcements.cancel(new_id(), "user:M")


@pytest.mark.parametrize("seed", range(12))
def test_cancelled_while_it_is_worked_on_it_ends_done_or_cancelled(dynamodb: "DynamoDBClient", seed: int) -> None:
    dice = Interleaver(random.Random(seed))
    post = Post(lambda: dynamodb, step=dice.step)
    members = [post.services.join() for _ in range(4)]
    its_id, _ = post.announcements.send(announcement(), None)
    refused: list[Exception] = []

    def cancel() -> None:
        try:
            post.announcements.cancel(its_id, "user:M")
        except AnnouncementDone as failure:
            refused.append(failure)

    dice.run([lambda: post.deliver_announcement(its_id), cancel])
    post.minute(5)

    told = sum(bool(post.listed(member.id)) for member in members)
    assert post.announcements.find(its_id).state == ("done" if refused else "cancelled")
    # But for the page that was being worked on, what is noted is what was told.
    assert 0 <= told - post.announcements.find(its_id).notified <= post.services.page
    assert told == len(members) or not refused


def test_users_being_down_makes_it_late(post: Post) -> None:
    members = [post.services.join() for _ in range(5)]
    post.services.users_down = True
    post.announcements.send(announcement(), None)
    assert post.work() == ["postponed"]

    post.services.users_down = False
    post.minute(10)

    assert len(post.sent()) == len(members)


def test_a_long_one_is_worked_through_in_turns(post: Post) -> None:
    members = [post.services.join() for _ in range(6)]
    post.announcements.send(announcement(), None)
    seconds = iter(range(0, 1000, 20))
    task = post.queue.receive()
    assert task is not None
    slow = post.deliver_announcement
    object.__setattr__(slow, "monotonic", lambda: next(seconds))

    assert slow(task.announcement_id) == "continued"  # type: ignore[union-attr]
    post.work()
    post.minute(3)

    assert len(post.sent()) == len(members)


def test_an_erased_member_is_passed_over(post: Post) -> None:
    ann, ben = post.services.join(), post.services.join()
    post.handle_event(event("MemberErased", ann.id), "c-1")

    post.announcements.send(announcement(), None)
    post.work()
    post.minute(3)

    assert [message.to for message in post.sent()] == [ben.id]
