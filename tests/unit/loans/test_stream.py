"""What hangs on the stream of the loans table: unfinished loans go to the recovery queue."""

import json
from dataclasses import replace
from typing import Any

import pytest

from library_common import aws
from library_common.dynamodb import Item
from library_common.ids import derived_id
from loans_service import bootstrap, publisher
from loans_service.adapters.items import attributes_of, loan_key
from loans_service.domain.loan import LEASE, Condition, Copy, Loan, LoanStatus
from loans_service.settings import LoansSettings
from tests.support.clock import NOON

pytestmark = pytest.mark.unit


class Queue:
    """Records what is put on it."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, int, Any]] = []

    def send_message(self, *, QueueUrl: str, DelaySeconds: int, MessageBody: str) -> None:
        self.messages.append((QueueUrl, DelaySeconds, json.loads(MessageBody)))

    @property
    def loan_ids(self) -> list[str]:
        return [body["loan_id"] for _, _, body in self.messages]


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    queue = Queue()
    monkeypatch.setattr(aws, "sqs", lambda: queue)
    settings = LoansSettings(recovery_queue_url="https://recovery.test", recovery_delay_seconds=45)
    monkeypatch.setattr(bootstrap, "settings", lambda: settings)
    return queue


def pending(number: int = 1) -> Loan:
    return Loan(
        id=derived_id("test", str(number)),
        user_id="M" * 26,
        role="patron",
        book_id="B" * 26,
        status=LoanStatus.PENDING,
        requested_at=NOON,
        due_at=NOON,
        lease_until=NOON + LEASE,
    )


PENDING = pending()
ACTIVE = PENDING.activated(Copy("C-1", "A title"), NOON)
UNRELEASED = ACTIVE.returned(NOON, Condition.GOOD)
RETURNED = UNRELEASED.released()
CANCELLED = PENDING.cancelled(("no_copies_available", "None."), copy_in_doubt=False)
DOUBTFUL = PENDING.cancelled(("checkout_cancelled", "Undone."), copy_in_doubt=True)


def images(*loans: Loan) -> list[Item]:
    return [
        {name: value for name, value in {**loan_key(loan.id), **attributes_of(loan)}.items() if value is not None}
        for loan in loans
    ]


@pytest.mark.parametrize("loan", [PENDING, UNRELEASED, DOUBTFUL])
def test_an_unfinished_loan_is_looked_at_later(queue: Queue, loan: Loan) -> None:
    publisher.queue_unfinished(images(loan))

    assert queue.messages == [("https://recovery.test", 45, {"loan_id": loan.id, "attempt": 0})]


@pytest.mark.parametrize("loan", [ACTIVE, RETURNED, CANCELLED])
def test_a_finished_loan_is_not(queue: Queue, loan: Loan) -> None:
    publisher.queue_unfinished(images(loan))

    assert queue.messages == []


@pytest.mark.parametrize(
    ("life", "queued"),
    [
        ([PENDING, ACTIVE], 0),
        ([PENDING, CANCELLED], 0),
        ([PENDING, ACTIVE, UNRELEASED, RETURNED], 0),
        ([PENDING, PENDING.leased(NOON)], 1),
        ([PENDING, ACTIVE, UNRELEASED], 1),
        ([PENDING, DOUBTFUL], 1),
    ],
)
def test_of_several_images_of_a_loan_the_last_counts(queue: Queue, life: list[Loan], queued: int) -> None:
    publisher.queue_unfinished(images(*life))

    assert len(queue.messages) == queued


def test_loans_are_told_apart(queue: Queue) -> None:
    first, second, third = pending(1), pending(2), pending(3)

    publisher.queue_unfinished(images(first, second, third, replace(second, status=LoanStatus.ACTIVE)))

    assert queue.loan_ids == [first.id, third.id]


def test_other_items_of_the_table_are_none_of_its_business(queue: Queue) -> None:
    publisher.queue_unfinished(
        [{"pk": "MEMBER#1", "sk": "ACCOUNT", "open": {}}, {"pk": "X", "sk": "Y", "status": "PENDING"}]
    )

    assert queue.messages == []


def test_a_loan_that_is_damaged_otherwise_does_not_hold_up_the_stream(queue: Queue) -> None:
    damaged: list[Item] = [
        {"pk": "LOAN#1", "sk": "LOAN"},
        {"pk": "LOAN#2", "sk": "LOAN", "status": "PENDING"},
        {"pk": "LOAN#3", "sk": "LOAN", "status": "RETURNED", "settling": True, "due": "some day"},
        {"pk": "LOAN#4", "sk": "LOAN", "status": ["RETURNED"]},
    ]

    publisher.queue_unfinished(damaged)

    assert queue.loan_ids == ["2", "3", "4"]


def test_a_loan_with_a_status_of_a_newer_version_may_be_unfinished(queue: Queue) -> None:
    publisher.queue_unfinished([{"pk": "LOAN#1", "sk": "LOAN", "status": "CLAIMED_RETURNED"}])

    assert queue.loan_ids == ["1"]


def test_a_queue_that_is_down_brings_the_batch_again(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(**_: object) -> None:
        raise ConnectionError("down")

    monkeypatch.setattr(queue, "send_message", down)

    with pytest.raises(ConnectionError):
        publisher.queue_unfinished(images(PENDING))
