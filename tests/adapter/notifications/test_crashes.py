"""Death at every step: before and after every call that planning, reminding, sending or announcing makes.

A first run counts the calls; then each of them kills its process, once before and once after it had its effect. What
comes next is what comes in life: the message comes again, the lease passes, the sweep goes round.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from notifications_service.application.announcements import AnnouncementRequest
from notifications_service.application.ports import NotSent, Refused
from notifications_service.domain.kinds import Channel, Kind
from tests.depth import at_depth
from tests.fakes.post_office import TABLE, Post, event, lent, share_few_buckets
from tests.support.clock import NOON
from tests.support.mortality import Mortality, ProcessDied
from tests.support.tables import create_table, dynamodb_in_moto

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.adapter

ANN = "01JD8Y3V5QWZ6X7R8T9B0C1D2E"
LOAN = lent(ANN).model_copy(update={"id": "E-loan"})
PASSWORD = event("SessionsRevoked", ANN, reason="password_changed", epoch=1).model_copy(update={"id": "E-password"})

CLOSED = AnnouncementRequest(Kind.ANNOUNCEMENT, {"subject": "Closed", "message": "!"}, by="user:L", status="active")

type Act = Callable[[Post], object]


def ready(post: Post) -> None:
    post.services.join(id=ANN, phone="+254711222333", takes_sms=True)
    post.services.due_dates["L1"] = LOAN.data["due_date"]


def handling(post: Post) -> None:
    post.handle_event(LOAN, "c-1")


def handling_and_sending(post: Post) -> None:
    post.handle_event(PASSWORD, "c-1")
    post.work()


def sending_after_a_failure(post: Post) -> None:
    post.providers[Channel.EMAIL].trouble = [(NotSent("Throttling"), False)]
    handling_and_sending(post)


def falling_back(post: Post) -> None:
    post.providers[Channel.EMAIL].down = Refused("MessageRejected")
    handling_and_sending(post)


def reminding(post: Post) -> None:
    post.handle_event(LOAN, "c-1")
    post.minute(2)
    post.clock.moment = NOON + timedelta(days=12)
    post.sweep()
    post.work()


def announcing(post: Post) -> None:
    post.announcements.send(CLOSED, None)
    post.work()


EXPECTED: dict[Act, tuple[Channel, str, list[str]]] = {
    handling: (Channel.EMAIL, "loan_issued Dune", ["loan_issued"]),
    handling_and_sending: (Channel.EMAIL, "password_changed -", ["password_changed"]),
    sending_after_a_failure: (Channel.EMAIL, "password_changed -", ["password_changed"]),
    falling_back: (Channel.SMS, "password_changed -", ["password_changed"]),
    reminding: (Channel.EMAIL, "loan_due_soon Dune", ["loan_issued", "loan_due_soon"]),
    announcing: (Channel.EMAIL, "announcement Closed", ["announcement"]),
}


def deaths() -> Iterator[Any]:
    """Every call position of every act, before and after."""
    with pytest.MonkeyPatch.context() as patch:
        share_few_buckets(patch)
        for act in EXPECTED:
            with dynamodb_in_moto(patch) as client:
                create_table(client, "NotificationsTable", TABLE)
                counted = Mortality()
                world = Post(lambda client=client: client)  # type: ignore[misc]  # bound at once
                ready(world)
                act(world.dying(counted))
                for number, name in enumerate(counted.calls, start=1):
                    for after in (False, True):
                        when = "after" if after else "before"
                        yield pytest.param(
                            act, counted.calls, Mortality(number, after), id=f"{act.__name__}-{when}-{number}-{name}"
                        )


def come_again(post: Post, act: Act) -> None:
    """What queues and clients do with what nobody finished."""
    if act in (handling, reminding):
        post.handle_event(LOAN, "c-1")
    elif act is announcing:
        if not post.client().scan(TableName=TABLE)["Items"]:
            act(post)
    else:
        post.handle_event(PASSWORD, "c-1")


def time_passes(post: Post, *, days: int) -> None:
    """Longer than any lease and pause, with a sweep now and then."""
    post.clock.moment = max(post.clock.moment, NOON + timedelta(days=days))
    for minutes in (1, 2, 2, 3):
        post.clock.advance(timedelta(minutes=minutes))
        post.sweep()
        post.work()


@pytest.mark.parametrize(("act", "calls", "mortality"), list(deaths())[:: at_depth(quick=6, full=1)])
def test_the_member_gets_it_and_at_most_once_more(
    dynamodb: "DynamoDBClient", act: Act, calls: list[str], mortality: Mortality
) -> None:
    post = Post(lambda: dynamodb)
    ready(post)
    with pytest.raises(ProcessDied):
        act(post.dying(Mortality(mortality.number, mortality.after)))

    come_again(post, act)
    time_passes(post, days=12 if act is reminding else 0)

    channel, line, kinds = EXPECTED[act]
    got = post.lines(ANN, channel).count(line)
    # Twice only where nobody can know: the provider had taken it, and whoever knew died before writing it down.
    assert 1 <= got <= (2 if died_with_the_message_out(calls, mortality) else 1)
    assert post.listed(ANN) == kinds
    assert post.failures.list(10, None)[0] == []
    assert all("agenda" not in item for item in post.items(ANN, "OUT#")), "nothing is left to do"


def died_with_the_message_out(calls: list[str], mortality: Mortality) -> bool:
    """Whether the death was after the provider took a message and before that was written down."""
    assert mortality.number is not None
    at = calls[mortality.number - 1]
    sent = at in {f"{channel.value}.send" for channel in Channel}
    return (sent and mortality.after) or (at == "deliveries.sent" and not mortality.after)


def test_the_acts_pass_through_every_step() -> None:
    """Were a port called without passing through here, its deaths would be missing unnoticed."""
    names = {str(param.id).rsplit("-", 1)[1] for param in deaths()}

    assert names >= {
        "plans.plan",
        "queue.put",
        "deliveries.take",
        "deliveries.open",
        "deliveries.begin",
        "deliveries.sent",
        "deliveries.put_back",
        "deliveries.fall_back",
        "deliveries.give_back",
        "users.find",
        "users.ids",
        "loans.still_out",
        "email.send",
        "reminders.waiting",
        "announcements.create",
        "announcements.get",
        "announcements.advance",
    }
