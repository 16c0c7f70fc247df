"""The consumer of SessionsRevoked: messages as the queue brings them."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway_service.revocations import consume
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


def batch(*bodies: object) -> dict[str, Any]:
    return {
        "Records": [
            {"messageId": str(number), "body": body if isinstance(body, str) else json.dumps(body)}
            for number, body in enumerate(bodies)
        ]
    }


def failed(answer: Any) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_every_message_is_noted(log: OperatorLog) -> None:
    epochs = Epochs()

    answer = consume(batch(revoked("A", 1), revoked("B", 4), revoked("A", 1)), None, epochs)

    assert failed(answer) == []
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
def test_what_cannot_be_understood_comes_again_alone(bad: object, log: OperatorLog) -> None:
    epochs = Epochs()

    assert failed(consume(batch(bad, revoked("B", 1)), None, epochs)) == ["0"]

    assert epochs.revoked == {"B": 1}
    assert [line["status"] for line in log.invocations] == ["failed", "revoked"]


def test_a_table_that_is_down_brings_every_message_again() -> None:
    epochs = Epochs(broken={"A", "B"})

    assert failed(consume(batch(revoked("A", 1), revoked("B", 1)), None, epochs)) == ["0", "1"]


def test_a_field_that_a_later_version_adds_does_no_harm() -> None:
    epochs = Epochs()

    assert failed(consume(batch(revoked("A", 2, device="phone")), None, epochs)) == []
    assert epochs.revoked == {"A": 2}
