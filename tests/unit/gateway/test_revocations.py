"""The consumer of SessionsRevoked: messages as the queue brings them."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway_service.revocations import consumer
from tests.fakes.sqs import SqsInMemory, batch, failed, in_place_of_sqs, message, queue
from tests.support.operator_log import OperatorLog

pytestmark = pytest.mark.unit


@dataclass
class Epochs:
    """In place of `RevokedEpochs`. broken: user ids for which the table fails."""

    revoked: dict[str, int] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    def revoke_before(self, user_id: str, epoch: int) -> bool:
        if user_id in self.broken:
            raise ConnectionError("table down")
        news = epoch > self.revoked.get(user_id, -1)
        self.revoked[user_id] = max(epoch, self.revoked.get(user_id, epoch))
        return news


def revoked(user_id: Any, epoch: Any, **data: Any) -> dict[str, Any]:
    envelope = {
        "id": f"E-{user_id}-{epoch}",
        "type": "SessionsRevoked",
        "version": 1,
        "occurred_at": "2026-11-21T12:00:00Z",
        "correlation_id": "desk-1",
        "actor": "user:L",
        "subject": f"user:{user_id}",
        "data": {"user_id": user_id, "reason": "suspended", "epoch": epoch, **data},
    }
    return {"version": "0", "source": "library.users", "detail-type": "SessionsRevoked", "detail": envelope}


def consume(epochs: Epochs, *bodies: object) -> list[str]:
    """The ids of the messages that are to come again."""
    records = [message(body, number) for number, body in enumerate(bodies)]
    return failed(consumer(epochs.revoke_before, queue())(batch(*records), None))


@pytest.fixture(autouse=True)
def sqs(monkeypatch: pytest.MonkeyPatch) -> SqsInMemory:
    return in_place_of_sqs(monkeypatch)


def test_every_message_is_noted(log: OperatorLog) -> None:
    epochs = Epochs()

    assert consume(epochs, revoked("A", 1), revoked("B", 4), revoked("A", 1)) == []

    assert epochs.revoked == {"A": 1, "B": 4}
    assert [(line["status"], line["correlation_id"], line["event_id"]) for line in log.invocations] == [
        ("revoked", "desk-1", "E-A-1"),
        ("revoked", "desk-1", "E-B-4"),
        ("known already", "desk-1", "E-A-1"),
    ]


@pytest.mark.parametrize(
    "bad",
    [
        "not JSON",
        [],
        {},
        {"detail": {}},
        revoked("", 1),
        revoked("A", -1),
        revoked("A", "many"),
        revoked(None, 1),
    ],
)
def test_what_cannot_be_understood_is_set_aside_at_once_and_alone(
    bad: object, log: OperatorLog, sqs: SqsInMemory
) -> None:
    epochs = Epochs()

    assert consume(epochs, bad, revoked("B", 1)) == []

    assert epochs.revoked == {"B": 1}
    assert [line["status"] for line in log.invocations] == ["set aside", "revoked"]
    assert [reason.startswith("unreadable: ValidationError: ") for reason in sqs.reasons] == [True]


def test_a_table_that_is_down_brings_every_message_again() -> None:
    epochs = Epochs(broken={"A", "B"})

    assert consume(epochs, revoked("A", 1), revoked("B", 1)) == ["m0", "m1"]


def test_a_field_that_a_later_version_adds_does_no_harm() -> None:
    epochs = Epochs()

    assert consume(epochs, revoked("A", 2, device="phone")) == []
    assert epochs.revoked == {"A": 2}
