"""The code sender's entry: one bad message does not hold up the others, and nothing personal is logged."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from library_common.ids import new_id
from tests.fakes.users import Community
from tests.support.clock import NOON
from tests.support.operator_log import OperatorLog
from users_service import code_sender
from users_service.adapters.code_queue import from_message, notice_message, to_message
from users_service.domain.codes import Channel, CodeRequest, Purpose
from users_service.domain.notices import AddressNotice

pytestmark = pytest.mark.unit

EMAIL = "ann@example.org"


class Pauses:
    """Stands in for the queue: which messages come again when."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, int]] = []

    def later(self, receipt_handle: str, *, received: int) -> None:
        self.noted.append((receipt_handle, received))


def message(body: str, number: int = 1, received: int = 1) -> dict[str, Any]:
    return {
        "messageId": f"m{number}",
        "receiptHandle": f"r{number}",
        "body": body,
        "attributes": {"ApproximateReceiveCount": str(received)},
        "eventSource": "aws:sqs",
    }


def deliver(community: Community, *records: Mapping[str, Any]) -> tuple[list[str], list[tuple[str, int]]]:
    """The ids of the messages that are to come again, and the pauses they make."""
    pauses: Any = Pauses()
    answer = code_sender.send_batch({"Records": list(records)}, community.send_code, community.send_notice, pauses)
    assert set(answer) == {"batchItemFailures"}
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]], pauses.noted


def a_request(community: Community, email: str = EMAIL) -> CodeRequest:
    community.use_cases.ask_for_code(Purpose.PASSWORD_RESET, email, Channel.SMS)
    return community.code_requests.waiting[-1]


def test_a_message_says_what_was_asked_for(community: Community) -> None:
    request = a_request(community)
    assert from_message(to_message(request)) == request


def test_a_code_is_sent_and_its_line_says_no_more_than_that(community: Community, log: OperatorLog) -> None:
    community.join(email=EMAIL)
    request = a_request(community)

    assert deliver(community, message(to_message(request))) == ([], [])

    (line,) = log.invocations
    assert (line["route"], line["status"], line["correlation_id"]) == ("code sender", "sent", request.correlation_id)
    assert line["request_id"] == request.id
    for personal in (EMAIL, community.messenger.sent[-1].digits):
        assert personal not in log.text


def test_what_fails_comes_again_alone_and_later_each_time(community: Community, log: OperatorLog) -> None:
    community.join(email=EMAIL)
    bob = community.join(email="bob@example.org")
    community.messenger.failures.append(RuntimeError(f"{EMAIL} is not verified"))
    first, second = (to_message(a_request(community, email)) for email in (EMAIL, "bob@example.org"))

    assert deliver(community, message(first, 1, received=3), message(second, 2)) == (["m1"], [("r1", 3)])

    assert [sent.to for sent in community.messenger.sent] == [bob.email]
    assert [line["status"] for line in log.invocations] == ["failed", "sent"]
    assert EMAIL not in log.text


BAD = ["not json", "[]", "7", "null", "{}", json.dumps({"id": 1, "purpose": "nonsense"})]


@pytest.mark.parametrize("body", BAD)
def test_a_message_that_cannot_be_read_comes_again_until_it_is_set_aside(community: Community, body: str) -> None:
    failed, _ = deliver(community, message(body))
    assert failed == ["m1"]


def test_a_notice_goes_to_the_old_address_in_the_same_way(community: Community, log: OperatorLog) -> None:
    notice = AddressNotice(id=new_id(), email="old@example.org", changed_at=NOON, correlation_id="c-1")
    assert from_message(notice_message(notice)) == notice

    assert deliver(community, message(notice_message(notice))) == ([], [])

    (sent,) = community.mail_to("old@example.org")
    assert "21 November 2026 at 12:00 UTC" in sent.body
    assert "old@example.org" not in log.text
    community.messenger.failures.append(ConnectionError("no mail"))
    assert deliver(community, message(notice_message(notice)))[0] == ["m1"], "it comes again"
