"""From an event to a message: what a member gets, when, how often, and by which way."""

from datetime import timedelta
from typing import Any

import pytest

from library_common.ids import new_id
from notifications_service.application.ports import DueDelivery, NotSent, Refused, Unknown
from notifications_service.domain.deliveries import GIVE_UP_AFTER, LEASE, Lease
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.preferences import Digest, DigestRhythm, Preferences
from tests.fakes.post_office import Post, event, lent, renewed
from tests.support.clock import NOON
from tests.support.operator_log import OperatorLog

pytestmark = pytest.mark.adapter

MINUTE = timedelta(minutes=1)


def choosing(post: Post, user_id: str, kind: Kind, *channels: Channel) -> None:
    post.preferences.stored[user_id] = Preferences(channels={kind: channels})


# -- one notice -----------------------------------------------------------------------------------


def test_a_loan_is_in_the_list_at_once_and_in_the_mail_after_the_visit(post: Post) -> None:
    ann = post.services.join()

    assert post.handle_event(lent(ann.id), "c-1") == "planned"

    assert post.listed(ann.id) == ["loan_issued"]
    assert post.work() == []
    post.clock.advance(MINUTE)
    assert post.work() == ["sent"]
    assert post.lines(ann.id) == ["loan_issued Dune"]


def test_the_same_event_again_is_the_same_notice(post: Post) -> None:
    ann = post.services.join()
    loan = lent(ann.id)
    post.handle_event(loan, "c-1")
    post.minute(2)

    assert post.handle_event(loan, "c-2") == "already_planned"

    post.minute(5)
    assert post.listed(ann.id) == ["loan_issued"]
    assert post.lines(ann.id) == ["loan_issued Dune"]


def test_a_changed_password_is_told_at_once_whatever_the_hour(post: Post) -> None:
    ann = post.services.join(takes_email=False)
    post.hours.quiet_until = NOON + timedelta(hours=9)

    post.handle_event(event("SessionsRevoked", ann.id, reason="password_changed", epoch=2), "c-1")

    assert post.work() == ["sent"]
    assert post.lines(ann.id) == ["password_changed -"]


def test_what_is_timely_waits_for_the_end_of_quiet_hours_but_not_in_the_list(post: Post) -> None:
    ann = post.services.join()
    post.hours.quiet_until = NOON + timedelta(hours=9)

    post.handle_event(event("MemberStatusChanged", ann.id, old="active", new="suspended"), "c-1")
    post.minute(3)

    assert post.listed(ann.id) == ["membership_changed"]
    assert post.sent() == []
    post.until(post.hours.quiet_until)
    assert post.lines(ann.id) == ["membership_changed -"]


def test_quiet_hours_that_were_chosen_later_count_as_well(post: Post) -> None:
    ann = post.services.join()
    post.handle_event(event("MemberStatusChanged", ann.id, old="active", new="suspended"), "c-1")
    post.hours.quiet_until = NOON + timedelta(hours=9)

    assert post.work() == ["not_now"]

    post.until(post.hours.quiet_until)
    assert post.lines(ann.id) == ["membership_changed -"]


def test_a_member_who_wants_none_of_it_gets_none(post: Post) -> None:
    ann = post.services.join()
    choosing(post, ann.id, Kind.LOAN_ISSUED)

    post.handle_event(lent(ann.id), "c-1")
    post.minute(3)

    assert (post.listed(ann.id), post.sent()) == ([], [])


def test_a_preference_taken_back_before_it_goes_out_counts(post: Post) -> None:
    ann = post.services.join()
    post.handle_event(lent(ann.id), "c-1")
    choosing(post, ann.id, Kind.LOAN_ISSUED, Channel.IN_APP)

    post.minute(3)

    assert post.sent() == []


def test_the_language_is_the_preference_before_the_account(post: Post) -> None:
    ann, ben = post.services.join(language="fr"), post.services.join(language="fr")
    post.preferences.stored[ben.id] = Preferences(language="es")
    for member in (ann, ben):
        post.handle_event(event("SessionsRevoked", member.id, reason="password_changed", epoch=1), "c")
        post.work()

    assert post.templates.asked == [(Channel.EMAIL, "fr"), (Channel.EMAIL, "es")]


# -- several together -----------------------------------------------------------------------------


def test_several_loans_of_one_visit_are_one_message(post: Post) -> None:
    ann, ben = post.services.join(), post.services.join()
    for number, title in enumerate(["Dune", "Emma", "Ulysses"]):
        post.handle_event(lent(ann.id, title, loan_id=f"L{number}"), "c-1")
        post.clock.advance(timedelta(seconds=20))
    post.handle_event(lent(ben.id, "Solaris", loan_id="L9"), "c-2")
    post.minute(3)

    assert [sorted(message.lines) for message in post.sent() if message.to == ann.id] == [
        ["loan_issued Dune", "loan_issued Emma", "loan_issued Ulysses"]
    ]
    assert post.lines(ben.id) == ["loan_issued Solaris"]


def test_more_than_fit_into_a_message_become_two(post: Post) -> None:
    ann = post.services.join()
    for number in range(45):
        post.handle_event(lent(ann.id, f"T{number}", loan_id=f"L{number}"), "c-1")
    post.minute(2)

    assert [len(message.lines) for message in post.sent()] == [40, 5]
    assert len(set(post.lines(ann.id))) == 45


def test_what_is_instant_goes_alone_and_the_visit_goes_on(post: Post) -> None:
    ann = post.services.join()
    post.handle_event(lent(ann.id, "Dune", loan_id="L1"), "c-1")
    post.clock.advance(timedelta(seconds=20))
    password_changed(post, ann.id)
    assert post.work() == ["sent"]
    assert [message.lines for message in post.sent()] == [["password_changed -"]]

    post.handle_event(lent(ann.id, "Emma", loan_id="L2"), "c-1")
    post.minute(2)

    assert [sorted(message.lines) for message in post.sent()[1:]] == [["loan_issued Dune", "loan_issued Emma"]]


def test_what_is_instant_has_its_own_message_when_others_are_due_as_well(post: Post) -> None:
    ann = post.services.join()
    post.providers[Channel.EMAIL].trouble = [(NotSent("Throttling"), False)]
    post.handle_event(lent(ann.id), "c-1")
    password_changed(post, ann.id)
    post.minute(3)

    assert sorted(message.lines for message in post.sent()) == [["loan_issued Dune"], ["password_changed -"]]


def test_two_renewals_of_a_visit_are_one_line_with_the_newest_date(post: Post) -> None:
    ann = post.services.join()
    loan = lent(ann.id)
    first = renewed(ann.id, loan)
    second = renewed(ann.id, first, at=NOON + timedelta(seconds=20))
    for incoming in (loan, second, first):
        post.handle_event(incoming, "c-1")
    post.minute(2)

    assert [sorted(message.lines) for message in post.sent()] == [["loan_issued Dune", "loan_renewed Dune"]]
    assert [data["due_date"] for kind, data in post.templates.rendered if kind is Kind.LOAN_RENEWED] == [
        second.data["due_date"]
    ]
    ends = [(item["state"]["S"], item.get("error", {}).get("S")) for item in post.items(ann.id, "OUT#")]
    assert sorted(ends, key=str) == [("dropped", "superseded"), ("sent", None), ("sent", None)]
    assert post.listed(ann.id).count("loan_renewed") == 2


def test_two_renewals_in_one_second_are_told_with_the_later_date(post: Post) -> None:
    ann = post.services.join()
    first = renewed(ann.id, lent(ann.id))
    second = renewed(ann.id, first)
    for incoming in (second, first):
        post.handle_event(incoming, "c-1")
    post.minute(2)

    assert [data["due_date"] for _, data in post.templates.rendered] == [second.data["due_date"]]


def test_a_loan_that_is_lent_and_returned_in_one_visit_is_both(post: Post) -> None:
    ann = post.services.join()
    post.handle_event(lent(ann.id), "c-1")
    post.handle_event(event("LoanReturned", ann.id, loan_id="L1", title="Dune"), "c-1")
    post.minute(2)

    assert [sorted(message.lines) for message in post.sent()] == [["loan_issued Dune", "loan_returned Dune"]]


def test_a_digest_gathers_what_is_not_urgent(post: Post) -> None:
    ann = post.services.join()
    post.preferences.stored[ann.id] = Preferences(digest=Digest(DigestRhythm.DAILY))
    post.hours.digest_at = NOON + timedelta(hours=20)
    post.handle_event(lent(ann.id, "Dune"), "c-1")
    post.minute(30)
    post.handle_event(event("BookReserved", ann.id, title="Emma"), "c-1")
    post.handle_event(event("ReservationReady", ann.id, title="Solaris", pickup_until="2026-11-25T17:00:00Z"), "c-1")
    post.minute(3)
    assert post.lines(ann.id) == ["hold_ready Solaris"]

    post.until(post.hours.digest_at)

    assert [sorted(message.lines) for message in post.sent()[1:]] == [["hold_placed Emma", "loan_issued Dune"]]


# -- failures -------------------------------------------------------------------------------------


def password_changed(post: Post, user_id: str) -> None:
    post.handle_event(event("SessionsRevoked", user_id, reason="password_changed", epoch=1), "c-1")


def test_a_provider_that_is_down_gets_it_later_and_once(post: Post) -> None:
    ann = post.services.join()
    post.providers[Channel.EMAIL].down = NotSent("Throttling")
    password_changed(post, ann.id)
    assert post.work() == ["not_sent"]
    post.minute(60)
    tries = post.providers[Channel.EMAIL].tries

    post.providers[Channel.EMAIL].down = None
    post.minute(90)

    assert post.lines(ann.id) == ["password_changed -"]
    # Half a minute, one, two, four … up to an hour, and not every minute.
    assert tries <= 8


def test_pauses_grow_and_end_after_a_day(post: Post, log: OperatorLog) -> None:
    ann = post.services.join()
    post.providers[Channel.EMAIL].down = NotSent("Throttling")
    password_changed(post, ann.id)

    for _ in range(30):
        post.work()
        post.until(post.clock.now() + timedelta(hours=1))

    (failed,), _ = post.failures.list(10, None)
    assert (failed.user_id, failed.error, failed.channel) == (ann.id, "Throttling", Channel.EMAIL)
    assert failed.failed_at is not None
    assert failed.failed_at - NOON <= GIVE_UP_AFTER + timedelta(hours=1)
    assert [line["reason"] for line in log.lines if line.get("message") == "notice given up"] == ["Throttling"]
    assert ann.email not in log.text


FUNCTION = timedelta(seconds=50)
"""How long a sender may run: the template says so."""


def turns(post: Post, number: int) -> None:
    """Minutes with their sweeps; no turn takes longer than the function may."""
    for _ in range(number):
        post.clock.advance(timedelta(minutes=1))
        post.sweep()
        while (task := post.queue.receive()) is not None:
            began = post.clock.now()
            post.do(task)
            assert post.clock.now() - began < FUNCTION


def test_a_slow_provider_makes_more_turns_and_never_one_that_is_too_long(post: Post) -> None:
    ann = post.services.join()
    for epoch in range(7):
        post.handle_event(event("SessionsRevoked", ann.id, reason="password_changed", epoch=epoch), "c-1")
    post.queue.messages.clear()
    post.providers[Channel.EMAIL].slow = lambda: post.clock.advance(timedelta(seconds=10))

    turns(post, 12)

    assert len(post.sent()) == 7
    assert post.failures.list(10, None) == ([], None)


def test_loans_that_answer_slowly_hold_up_neither_themselves_nor_others(post: Post) -> None:
    ann = post.services.join()
    post.hours.quiet_until = NOON + timedelta(hours=1)
    for number in range(9):
        due = lent(ann.id, days=-1).data["due_date"]
        post.services.due_dates[f"L{number}"] = due
        post.handle_event(event("LoanOverdue", ann.id, title=f"T{number}", loan_id=f"L{number}", due_date=due), "c-1")
    post.handle_event(event("MemberStatusChanged", ann.id, old="active", new="suspended"), "c-1")
    post.queue.messages.clear()
    post.services.slow = lambda: post.clock.advance(timedelta(seconds=6))
    post.clock.moment = post.hours.quiet_until

    turns(post, 1)
    assert "membership_changed -" in post.lines(ann.id)
    assert len(post.lines(ann.id)) == 2, "and one loan, whose answer was waited for"
    turns(post, 12)

    assert sorted(post.lines(ann.id)) == sorted(["membership_changed -", *(f"loan_overdue T{n}" for n in range(9))])


def test_a_failed_one_can_be_tried_again_once(post: Post) -> None:
    ann = post.services.join()
    post.providers[Channel.EMAIL].down = Refused("MessageRejected")
    password_changed(post, ann.id)
    assert post.work() == ["refused"]
    (failed,), more = post.failures.list(10, None)
    assert more is None
    post.providers[Channel.EMAIL].down = None

    post.failures.retry(failed.failure_id or "")

    assert post.work() == ["sent"]
    assert post.lines(ann.id) == ["password_changed -"]
    assert post.failures.list(10, None) == ([], None)
    with pytest.raises(Exception, match="no such"):
        post.failures.retry(failed.failure_id or "")


def test_a_channel_that_is_down_is_left_alone_after_a_few_failures(post: Post) -> None:
    post.providers[Channel.EMAIL].down = NotSent("ServiceUnavailable")
    members = [post.services.join() for _ in range(8)]
    for member in members:
        password_changed(post, member.id)

    assert sorted(post.work()) == ["circuit_open"] * 5 + ["not_sent"] * 3

    assert post.providers[Channel.EMAIL].tries == 3
    post.providers[Channel.EMAIL].down = None
    post.minute(10)
    assert sorted(message.to for message in post.sent()) == sorted(member.id for member in members)


def test_users_being_down_costs_time_and_nothing_else(post: Post) -> None:
    ann = post.services.join()
    post.services.users_down = True
    password_changed(post, ann.id)
    post.minute(5)
    assert post.sent() == []

    post.services.users_down = False
    post.minute(2)

    assert post.lines(ann.id) == ["password_changed -"]


@pytest.mark.parametrize("out", [True, False])
def test_what_nobody_knows_is_sent_once_more_and_then_given_up(post: Post, out: bool) -> None:
    ann = post.services.join()
    post.providers[Channel.EMAIL].trouble = [(Unknown("ReadTimeoutError"), out)] * 5
    password_changed(post, ann.id)

    assert post.work() == ["unknown_outcome"]
    post.minute(30)

    assert post.providers[Channel.EMAIL].tries == 2
    (failed,), _ = post.failures.list(10, None)
    assert failed.error == "unknown_outcome"


def test_one_that_cannot_be_worded_holds_up_no_other(post: Post) -> None:
    ann = post.services.join()
    post.templates.broken = {"{{ broken"}
    for number, title in enumerate(["Dune", "{{ broken", "Emma"]):
        post.handle_event(lent(ann.id, title, loan_id=f"L{number}"), "c-1")
    post.minute(2)
    assert sorted(post.lines(ann.id)) == ["loan_issued Dune", "loan_issued Emma"]

    post.templates.broken = set()
    post.minute(3)

    assert "loan_issued {{ broken" in post.lines(ann.id)


# -- other channels -----------------------------------------------------------------------------------


def test_a_refused_address_falls_back_to_the_phone_and_then_the_device(post: Post) -> None:
    ann = post.services.join(phone="+254711222333", takes_sms=True)
    post.devices.put(ann.id, "arn:1")
    post.providers[Channel.EMAIL].down = Refused("MessageRejected")
    post.providers[Channel.SMS].down = Refused("InvalidParameter")

    password_changed(post, ann.id)

    assert post.work() == ["refused", "refused", "sent"]
    assert post.lines(ann.id, Channel.PUSH) == ["password_changed -"]
    assert post.failures.list(10, None) == ([], None)


def test_nobody_is_texted_who_does_not_want_it(post: Post) -> None:
    ann = post.services.join(phone="+254711222333", takes_sms=False)
    post.providers[Channel.EMAIL].down = Refused("MessageRejected")

    post.handle_event(event("MemberStatusChanged", ann.id, old="active", new="suspended"), "c-1")
    post.work()

    assert post.providers[Channel.SMS].tries == 0
    assert [failed.error for failed in post.failures.list(10, None)[0]] == ["MessageRejected"]


def test_an_account_without_e_mails_is_texted_instead_if_it_wants_that(post: Post) -> None:
    ann = post.services.join(phone="+254711222333", takes_email=False, takes_sms=True)
    ben = post.services.join(phone="+254711222334", takes_email=False)
    for member in (ann, ben):
        post.handle_event(lent(member.id), "c-1")

    post.minute(3)

    assert (post.sent(), post.lines(ann.id, Channel.SMS)) == ([], ["loan_issued Dune"])
    assert post.lines(ben.id, Channel.SMS) == []
    assert post.failures.list(10, None) == ([], None)


def test_who_can_be_reached_by_no_chosen_channel_finds_it_in_the_list(post: Post) -> None:
    members = {
        "account says no to texts": post.services.join(phone="+254711222333", takes_email=False, takes_sms=False),
        "no number": post.services.join(takes_email=False, takes_sms=True),
        "no device": post.services.join(takes_email=False),
        "neither e-mails nor texts": post.services.join(phone="+254711222334", takes_email=False),
    }
    chosen = [(Channel.SMS,), (Channel.SMS,), (Channel.PUSH,), (Channel.EMAIL, Channel.SMS)]
    post.providers[Channel.SMS].down = post.providers[Channel.PUSH].down = Refused("no_address")
    for member, channels in zip(members.values(), chosen, strict=True):
        choosing(post, member.id, Kind.LOAN_ISSUED, *channels)
        post.handle_event(lent(member.id), "c-1")
    assert [post.listed(member.id) for member in members.values()] == [[], [], [], []]

    post.minute(3)

    assert {why: post.listed(member.id) for why, member in members.items()} == {why: ["loan_issued"] for why in members}
    (entry,), unread = post.entries(members["no device"].id), post.inbox_store.unread(members["no device"].id)
    assert (entry.occurred_at, entry.data["title"], unread) == (NOON, "Dune", 1)


def test_who_is_told_by_one_of_two_channels_does_not_get_it_in_the_list_as_well(post: Post) -> None:
    ann = post.services.join(phone="+254711222333", takes_email=False, takes_sms=True)
    choosing(post, ann.id, Kind.LOAN_ISSUED, Channel.EMAIL, Channel.SMS)

    post.handle_event(lent(ann.id), "c-1")
    post.minute(3)

    assert (post.lines(ann.id, Channel.SMS), post.listed(ann.id)) == (["loan_issued Dune"], [])


def test_who_does_not_want_it_any_more_does_not_find_it_in_the_list_either(post: Post) -> None:
    ann = post.services.join()
    choosing(post, ann.id, Kind.LOAN_ISSUED, Channel.EMAIL)
    post.handle_event(lent(ann.id), "c-1")
    choosing(post, ann.id, Kind.LOAN_ISSUED)

    post.minute(3)

    assert (post.listed(ann.id), post.sent()) == ([], [])


def test_a_channel_that_refuses_for_good_leaves_the_notice_in_the_list(post: Post) -> None:
    ann = post.services.join()
    choosing(post, ann.id, Kind.LOAN_ISSUED, Channel.EMAIL)
    post.providers[Channel.EMAIL].down = Refused("MessageRejected")

    post.handle_event(lent(ann.id), "c-1")
    post.minute(3)

    assert post.listed(ann.id) == ["loan_issued"]
    assert [failed.error for failed in post.failures.list(10, None)[0]] == ["MessageRejected"]


def test_who_is_told_by_another_channel_anyhow_is_no_failure(post: Post) -> None:
    ann = post.services.join(takes_sms=True)
    choosing(post, ann.id, Kind.LOAN_ISSUED, Channel.EMAIL, Channel.SMS)
    post.providers[Channel.SMS].down = Refused("no_address")

    post.handle_event(lent(ann.id), "c-1")
    post.minute(3)

    assert post.lines(ann.id) == ["loan_issued Dune"]
    assert post.failures.list(10, None) == ([], None)


# -- erasure --------------------------------------------------------------------------------------


def test_nothing_is_left_of_an_erased_member_and_nothing_comes_after(post: Post) -> None:
    ann = post.services.join()
    post.devices.put(ann.id, "arn:1")
    loan = lent(ann.id)
    post.handle_event(loan, "c-1")
    password_changed(post, ann.id)

    assert post.handle_event(event("MemberErased", ann.id), "c-2") == "member_erased"
    assert post.handle_event(event("MemberErased", ann.id), "c-2") == "member_erased"

    late = [replace_id(loan), event("LoanReturned", ann.id, title="Dune")]
    assert [post.handle_event(one, "c-3") for one in late] == ["member_erased_before", "member_erased_before"]
    post.minute(3)
    assert [item["sk"]["S"] for item in post.items(ann.id)] == ["ERASED"]
    assert (post.sent(), post.devices.endpoints(ann.id), post.push.forgotten) == ([], [], ["arn:1"])


def replace_id(incoming: Any) -> Any:
    return incoming.model_copy(update={"id": "another"})


def test_a_member_who_is_gone_from_users_is_sent_nothing(post: Post) -> None:
    post.handle_event(event("SessionsRevoked", new_id(), reason="password_changed", epoch=1), "c-1")

    assert post.work() == ["no_member"]
    assert post.failures.list(10, None) == ([], None)


def test_what_was_sent_is_not_kept(post: Post) -> None:
    ann = post.services.join()
    post.handle_event(lent(ann.id), "c-1")
    post.minute(2)

    (item,) = post.items(ann.id, "OUT#")

    assert item["state"] == {"S": "sent"}
    assert {"data", "agenda", "at"} & item.keys() == set()
    assert int(item["expires_at_epoch"]["N"]) > NOON.timestamp()


# -- the sweep ------------------------------------------------------------------------------------


def test_a_sweep_finds_what_no_nudge_tells_of(post: Post) -> None:
    members = [post.services.join() for _ in range(20)]
    for member in members:
        password_changed(post, member.id)
    post.queue.messages.clear()

    assert post.sweep() == 20
    post.work()

    assert len(post.sent()) == 20
    assert post.sweep() == 0


def test_a_sweep_does_not_add_to_a_queue_that_nobody_works_on(post: Post) -> None:
    password_changed(post, post.services.join().id)
    post.queue.backlog = 5000

    assert post.sweep() == 0


def test_only_one_sends_to_a_member_at_a_time(post: Post) -> None:
    ann = post.services.join()
    password_changed(post, ann.id)
    of_another = Lease(ann.id, Channel.EMAIL, "another", post.clock.now() + LEASE)
    assert post.send.deliveries.take(of_another, post.clock.now())

    assert post.work() == ["busy"]
    post.clock.advance(LEASE)
    post.sweep()
    assert post.work() == ["sent"]


def test_a_nudge_without_anything_due_does_nothing(post: Post) -> None:
    ann = post.services.join()
    post.queue.put([DueDelivery(ann.id, Channel.EMAIL)])

    assert post.work() == ["nothing_due"]
    assert post.providers[Channel.EMAIL].tries == 0
