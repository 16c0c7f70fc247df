"""What members can have sent to addresses and numbers that may be anybody's: little, and without a name."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from library_common.limits import DEFAULTS
from notifications_service.application.announcements import AnnouncementRequest
from notifications_service.application.ports import NotSent, Refused
from notifications_service.domain.daily_limits import mailbox
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.preferences import Digest, DigestRhythm, Preferences
from tests.fakes.post_office import Post, event, lent
from tests.support.clock import NOON

pytestmark = pytest.mark.adapter

PHONE = "+254711222333"
TOMORROW = datetime(2026, 11, 22, 6, tzinfo=UTC)
"""Nine o'clock in Nairobi."""

CLOSED = {"subject": "Closed", "message": "We paint the walls."}
TEXTED = Preferences(channels=dict.fromkeys(Kind, (Channel.SMS,)))


def borrow_again_and_again(post: Post, user_id: str, times: int) -> None:
    """Each by itself: the visit is over before the next."""
    for number in range(times):
        post.handle_event(lent(user_id, f"T{number}", loan_id=f"L{number}", at=post.clock.now()), "c-1")
        post.minute(2)


# -- the visit ------------------------------------------------------------------------------------


def test_quiet_hours_that_begin_within_the_visit_make_no_message_of_each_loan(post: Post) -> None:
    ann = post.services.join()
    begin, end = NOON + timedelta(seconds=30), NOON + timedelta(hours=9)
    post.hours.quiet_from, post.hours.quiet_until = begin, end
    for number in range(5):
        post.handle_event(lent(ann.id, f"T{number}", loan_id=f"L{number}"), "c-1")
        assert post.work() == [], "none before the visit is over"
        post.clock.advance(timedelta(seconds=5))
    post.minute(3)
    assert post.sent() == []

    post.until(end)

    assert [len(message.lines) for message in post.sent()] == [5]


def test_a_digest_that_goes_out_within_the_visit_takes_the_notice_along(post: Post) -> None:
    ann = post.services.join()
    post.preferences.stored[ann.id] = Preferences(digest=Digest(DigestRhythm.DAILY))
    post.hours.digest_at = NOON + timedelta(seconds=20)
    post.handle_event(lent(ann.id, "Dune"), "c-1")
    post.clock.advance(timedelta(seconds=10))
    post.handle_event(lent(ann.id, "Emma", loan_id="L2"), "c-1")
    assert post.work() == []

    post.clock.advance(timedelta(seconds=10))
    post.work()

    assert [sorted(message.lines) for message in post.sent()] == [["loan_issued Dune", "loan_issued Emma"]]


# -- so many a day --------------------------------------------------------------------------------


def test_texts_beyond_the_days_wait_for_the_next_and_are_one_then(post: Post) -> None:
    ann = post.services.join(phone=PHONE, takes_sms=True)
    post.preferences.stored[ann.id] = TEXTED
    post.limiter.left["member_sms", ann.id] = 2
    borrow_again_and_again(post, ann.id, 5)
    assert post.lines(ann.id, Channel.SMS) == ["loan_issued T0", "loan_issued T1"]

    del post.limiter.left["member_sms", ann.id]
    post.until(TOMORROW - timedelta(minutes=10))
    assert len(post.sent(Channel.SMS)) == 2
    post.until(TOMORROW)

    assert [sorted(message.lines) for message in post.sent(Channel.SMS)[2:]] == [
        ["loan_issued T2", "loan_issued T3", "loan_issued T4"]
    ]


def test_a_number_is_texted_so_often_whosever_account_it_is_in(post: Post) -> None:
    ann, ben = (post.services.join(phone=PHONE, takes_sms=True) for _ in range(2))
    post.limiter.left["member_sms", PHONE] = 3
    for member in (ann, ben):
        post.preferences.stored[member.id] = TEXTED
        borrow_again_and_again(post, member.id, 3)

    assert len(post.sent(Channel.SMS)) == 3


WRITTEN = [
    "victim@example.net",
    "Victim@Example.NET",
    "victim+1@example.net",
    "victim+2@EXAMPLE.net.",
    "\uff56ictim@example.net",
]
"""One mailbox in several ways."""


def move(post: Post, user_id: str, email: str) -> None:
    """What a member does with the password of the account, as often as they like."""
    post.services.accounts[user_id] = replace(post.services.accounts[user_id], email=email)


@pytest.mark.parametrize("urgent", [False, True])
def test_an_address_that_goes_from_account_to_account_is_written_to_so_often_altogether(
    post: Post, urgent: bool
) -> None:
    post.limiter.limits = DEFAULTS
    accounts = [post.services.join(has_proved_email=False) for _ in range(10)]
    elsewhere = {account.id: account.email for account in accounts}

    for number, account in enumerate(accounts * 2):
        move(post, account.id, WRITTEN[number % len(WRITTEN)])
        if urgent:
            post.handle_event(event("SessionsRevoked", account.id, reason="password_changed", epoch=number), "c-1")
        else:
            post.handle_event(lent(account.id, loan_id=f"L{number}", at=post.clock.now()), "c-1")
        post.minute(2)
        move(post, account.id, elsewhere[account.id])

    # Altogether: ordinary ones, and as many about what must not be done unheard.
    assert len(post.sent()) == (10 if urgent else 5)


def test_two_addresses_are_counted_apart_and_a_proved_one_by_its_member(post: Post) -> None:
    post.limiter.limits = DEFAULTS
    ann, ben, eve = (post.services.join(has_proved_email=proved) for proved in (False, False, True))
    move(post, eve.id, ann.email)
    for member in (ann, ben, eve):
        borrow_again_and_again(post, member.id, 6)

    assert [len(post.lines(member.id)) for member in (ann, ben, eve)] == [5, 5, 6]


@pytest.mark.parametrize("odd", ["", "@", "victim", "a@b@c", f"a@{'x' * 70}.org", "\ud800@x.org", "+x@example.net"])
def test_what_is_no_address_is_counted_as_well(odd: str) -> None:
    assert mailbox(odd) == mailbox(odd.upper())


@pytest.mark.parametrize(("proved", "limit"), [(True, "member_email"), (False, "unproved_email")])
def test_mails_beyond_the_days_wait_for_the_next(post: Post, proved: bool, limit: str) -> None:
    ann = post.services.join(has_proved_email=proved)
    post.limiter.left[limit, ann.id] = 2

    borrow_again_and_again(post, ann.id, 4)

    assert post.lines(ann.id) == ["loan_issued T0", "loan_issued T1"]
    assert post.failures.list(10, None) == ([], None)


def test_a_changed_password_is_told_by_mail_beyond_them_but_not_by_text(post: Post) -> None:
    ann = post.services.join(phone=PHONE, takes_sms=True)
    post.preferences.stored[ann.id] = Preferences(channels={Kind.PASSWORD_CHANGED: (Channel.EMAIL, Channel.SMS)})
    post.limiter.allowed = 0

    post.handle_event(event("SessionsRevoked", ann.id, reason="password_changed", epoch=1), "c-1")
    post.work()

    assert (post.lines(ann.id), post.lines(ann.id, Channel.SMS)) == (["password_changed -"], [])


def test_nor_to_an_unproved_address_without_end(post: Post) -> None:
    ann = post.services.join(has_proved_email=False)
    post.limiter.left |= {("unproved_email", ann.id): 0, ("unproved_warning", ann.id): 3}

    for epoch in range(5):
        post.handle_event(event("SessionsRevoked", ann.id, reason="password_changed", epoch=epoch), "c-1")
        post.work()

    assert len(post.sent()) == 3


# -- what staff send by hand ----------------------------------------------------------------------

UNHEARD: list[tuple[str, dict[str, Any], str]] = [
    ("MemberRoleChanged", {"old": "admin", "new": "patron"}, "role_changed -"),
    ("MemberStatusChanged", {"old": "active", "new": "suspended"}, "membership_changed -"),
]


def send_by_hand(post: Post, user_id: str, times: int, kind: Kind = Kind.ANNOUNCEMENT) -> None:
    """Each as a message of its own."""
    for number in range(times):
        data = {"subject": f"A{number}", "message": "!"} if kind is Kind.ANNOUNCEMENT else {"title": f"A{number}"}
        post.announcements.send(AnnouncementRequest(kind, data, by="user:L", user_ids=(user_id,)), None)
        post.work()
        post.minute(2)


@pytest.mark.parametrize(("type_", "data", "line"), UNHEARD)
@pytest.mark.parametrize("proved", [True, False])
def test_no_number_of_announcements_keeps_a_changed_role_from_being_heard_of(
    post: Post, type_: str, data: dict[str, Any], line: str, proved: bool
) -> None:
    ann = post.services.join(has_proved_email=proved)
    post.limiter.limits = DEFAULTS

    send_by_hand(post, ann.id, 12)
    assert 0 < len(post.sent()) <= (10 if proved else 2)
    post.handle_event(event(type_, ann.id, at=post.clock.now(), **data), "c-1")
    post.minute(2)

    assert post.lines(ann.id)[-1] == line


@pytest.mark.parametrize(("type_", "data", "line"), UNHEARD)
def test_it_is_told_when_the_days_mails_are_used_up_and_takes_nothing_along(
    post: Post, type_: str, data: dict[str, Any], line: str
) -> None:
    ann = post.services.join()
    post.limiter.left["member_email", ann.id] = 0

    post.handle_event(lent(ann.id), "c-1")
    post.handle_event(event(type_, ann.id, **data), "c-1")
    post.minute(3)
    assert post.lines(ann.id) == [line]

    del post.limiter.left["member_email", ann.id]
    post.until(TOMORROW)
    assert post.lines(ann.id) == [line, "loan_issued Dune"]


def test_nor_is_it_told_to_an_unproved_address_without_end(post: Post) -> None:
    ann = post.services.join(has_proved_email=False)
    post.limiter.limits = DEFAULTS

    for _ in range(14):
        post.handle_event(
            event("MemberStatusChanged", ann.id, at=post.clock.now(), old="active", new="suspended"), "c-1"
        )
        post.minute(2)

    assert len(post.sent()) == 10


@pytest.mark.parametrize("kind", [Kind.ANNOUNCEMENT, Kind.HOLD_READY])
@pytest.mark.parametrize("channel", [Channel.EMAIL, Channel.SMS])
def test_what_is_sent_by_hand_leaves_most_of_the_day_to_the_library(post: Post, kind: Kind, channel: Channel) -> None:
    ann = post.services.join(phone=PHONE, takes_sms=True)
    post.preferences.stored[ann.id] = Preferences(channels=dict.fromkeys(Kind, (channel,)))
    part = {Channel.EMAIL: "by_hand_email", Channel.SMS: "by_hand_sms"}[channel]
    post.limiter.left[part, ann.id] = 2

    send_by_hand(post, ann.id, 4, kind)
    borrow_again_and_again(post, ann.id, 3)

    sent = [f"{kind.value} A0", f"{kind.value} A1", "loan_issued T0", "loan_issued T1", "loan_issued T2"]
    assert post.lines(ann.id, channel) == sent
    del post.limiter.left[part, ann.id]
    post.until(TOMORROW)
    assert post.lines(ann.id, channel)[5:] == [f"{kind.value} A2", f"{kind.value} A3"], "the rest waits"


def test_what_goes_over_to_another_channel_is_still_sent_by_hand(post: Post) -> None:
    ann = post.services.join(phone=PHONE, takes_sms=True)
    post.preferences.stored[ann.id] = Preferences(channels=dict.fromkeys(Kind, (Channel.EMAIL, Channel.SMS)))
    post.providers[Channel.EMAIL].down = Refused("MessageRejected")
    post.limiter.left["by_hand_sms", ann.id] = 0

    post.announcements.send(
        AnnouncementRequest(Kind.ANNOUNCEMENT, CLOSED, by="user:L", user_ids=(ann.id,), channels=(Channel.EMAIL,)), None
    )
    post.work()
    post.minute(3)

    assert (post.providers[Channel.EMAIL].tries, post.sent(Channel.SMS)) == (1, [])


def test_what_is_tried_again_counts_once(post: Post) -> None:
    ann = post.services.join()
    post.providers[Channel.EMAIL].trouble = [(NotSent("Throttling"), False)] * 3
    post.limiter.left["member_email", ann.id] = 1

    borrow_again_and_again(post, ann.id, 1)
    post.minute(15)

    assert post.lines(ann.id) == ["loan_issued T0"]
    assert post.limiter.taken == [("member_email", ann.id)]


# -- nameless -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("proved", "name"), [(True, "Ann"), (False, "")])
def test_an_address_that_nobody_proved_gets_no_name(post: Post, proved: bool, name: str) -> None:
    ann = post.services.join(has_proved_email=proved)

    post.handle_event(event("MemberRegistered", ann.id, role="patron", status="active"), "c-1")
    post.minute(2)

    assert (post.lines(ann.id), post.templates.names) == (["welcome -"], [name])


def test_nor_does_a_number(post: Post) -> None:
    ann = post.services.join(phone=PHONE, takes_sms=True)
    post.preferences.stored[ann.id] = TEXTED

    borrow_again_and_again(post, ann.id, 1)

    assert (post.lines(ann.id, Channel.SMS), post.templates.names) == (["loan_issued T0"], [""])


def test_nobody_is_texted_of_a_changed_password_who_does_not_take_texts(post: Post) -> None:
    ann = post.services.join(phone=PHONE, takes_sms=False)
    post.providers[Channel.EMAIL].down = Refused("MessageRejected")

    post.handle_event(event("SessionsRevoked", ann.id, reason="password_changed", epoch=1), "c-1")
    post.work()

    assert post.providers[Channel.SMS].tries == 0
