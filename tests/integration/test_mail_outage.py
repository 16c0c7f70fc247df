"""SES is down for a while: lending does not notice, nothing is lost, and afterwards each mail is sent once."""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import pytest

from library_common.clock import SystemClock
from library_common.ids import new_id
from notifications_service.domain.deliveries import LEASE, Delivery
from tests.depth import at_depth
from tests.integration.conftest import Posting
from tests.support.faults import Fault
from tests.support.library_client import at_once, created, eventually
from tests.support.yardstick import allowed

pytestmark = pytest.mark.integration

CHECKOUTS, MEMBERS = at_depth(quick=(6, 6), full=(24, 12))
"""Of faculty, who may have ten loans: no more than that in all rounds."""
ROUNDS_AT_MOST = 3
ANYHOW_SECONDS = 0.25
"""A checkout that takes less is quick, however quick the ones before were."""
TIMES_SLOWER = 2.0
NO_ANSWER_SECONDS = 3.0
"""How long SES takes to say that it is down: what a checkout that waited for it would take longer, on any machine."""
RECOVERY_SECONDS = 300.0

UNAVAILABLE = """<ErrorResponse xmlns="http://ses.amazonaws.com/doc/2010-12-01/"><Error><Type>Receiver</Type>
<Code>ServiceUnavailable</Code><Message>Service is unavailable.</Message></Error></ErrorResponse>"""


@pytest.fixture(autouse=True)
def nothing_is_given_up(posting: Posting) -> Iterator[None]:
    yield
    assert posting.dead_letters() == {}
    assert posting.given_up() == []


def members(posting: Posting, number: int) -> list[dict[str, Any]]:
    """Members who have been welcomed."""
    found = at_once([partial(posting.library.add_member, "faculty")] * number, workers=4)
    expected = {member["email"] for member in found}

    def welcomed() -> bool:
        posting.sweep()
        return expected <= {mail.to for mail in posting.stack.messages()}

    eventually(welcomed, "the welcomes")
    return found


class Took(NamedTuple):
    """Seconds: a checkout, and a look at its title: that has nothing to do with mail, and tells how busy it is here."""

    lending: float
    looking: float


def lend(posting: Posting, member: dict[str, Any], title: str) -> Took:
    book = posting.library.add_book(title=title)
    started = time.monotonic()
    posting.library.book(book["id"])
    looked = time.monotonic()
    created(posting.library.lend(member["id"], book["id"]))
    return Took(lending=time.monotonic() - looked, looking=looked - started)


def times_sent(posting: Posting, member: dict[str, Any], title: str) -> int:
    return sum(title in mail.body for mail in posting.stack.messages(member["email"]))


def swept_until_sent(posting: Posting, expected: Sequence[tuple[dict[str, Any], str]]) -> None:
    def everything() -> bool:
        posting.sweep()
        mails = posting.stack.messages()
        return all(
            any(mail.to == member["email"] and title in mail.body for mail in mails) for member, title in expected
        )

    eventually(everything, "every mail", seconds=RECOVERY_SECONDS)


def test_lending_goes_on_and_every_mail_follows_once(posting: Posting) -> None:
    people = members(posting, MEMBERS)
    run = new_id()

    def lent(what: str, number: int) -> list[Took]:
        return [lend(posting, people[n % MEMBERS], f"{what} {n} {run}") for n in range(number)]

    lent("Warming up", 4)
    before = lent("Before", CHECKOUTS)
    swept_until_sent(posting, [(people[n % MEMBERS], f"Before {n} {run}") for n in range(CHECKOUTS)])

    down, rounds = Fault("POST", r"^/$", delay=NO_ANSWER_SECONDS, status=503, text=UNAVAILABLE), 0
    with posting.mail.broken(down):
        quick = False
        # Others may keep the machine busy during one round. Whoever waits for SES waits in all of them.
        while not quick and rounds < ROUNDS_AT_MOST:
            during = lent(f"During {rounds}", CHECKOUTS)
            quick, rounds = is_quick(before, during), rounds + 1
        assert quick, "somebody waited for SES"
        eventually(lambda: down.hits >= 3, "mail that could not be sent")
        assert not [mail for mail in posting.stack.messages() if run in mail.body and "During" in mail.body]

    expected = [(people[n % MEMBERS], f"During {r} {n} {run}") for r in range(rounds) for n in range(CHECKOUTS)]
    swept_until_sent(posting, expected)
    posting.until_nothing_more_comes(*(member["id"] for member in people))
    assert [times_sent(posting, member, title) for member, title in expected] == [1] * len(expected)


def is_quick(before: Sequence[Took], during: Sequence[Took]) -> bool:
    """Whether checkouts take no longer than they did, as far as the machine is no slower, and nobody waits for SES."""
    usual, then = median(took.lending for took in before), median(took.lending for took in during)
    quick_enough = allowed(
        max(TIMES_SLOWER * usual, ANYHOW_SECONDS),
        yardstick=[took.looking for took in during],
        usually=median(took.looking for took in before),
    )
    print(f"median before {usual:.3f} s, during {then:.3f} s of {quick_enough:.3f} s allowed")
    return then < min(quick_enough, usual + NO_ANSWER_SECONDS)


def test_a_mail_whose_answer_was_lost_may_come_twice_and_no_more(posting: Posting) -> None:
    """As docs/notifications.md has it: SES took it, nobody knows, so it is sent once more after the lease.

    Its minute is not waited for: what is to happen then happens as soon as it is noted for that moment.
    """
    (member,) = members(posting, 1)
    title = f"Twice {new_id()}"
    with posting.mail.broken(Fault("POST", r"^/$", lose=True, times=1)) as lost:
        # Moments are noted in whole seconds.
        lent_at = SystemClock().now().replace(microsecond=0)
        lend(posting, member, title)
        eventually(lambda: lost.hits == 1, "a mail whose answer is lost")

    def unknown() -> Delivery | None:
        return next((one for one in posting.outgoing.deliveries(member["id"]) if one.unknown), None)

    delivery = eventually(unknown, "the sender notes that nobody knows")
    assert delivery is not None
    assert delivery.send_at >= lent_at + LEASE, "not before nobody can be sending it any more"
    assert times_sent(posting, member, title) == 1
    posting.outgoing.bring_forward(delivery, lent_at)

    posting.until_nothing_more_comes(member["id"])
    assert times_sent(posting, member, title) == 2
