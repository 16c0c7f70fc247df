"""The code sender's entry: one bad message does not hold up the others, and nothing personal is logged."""

import json
from typing import Any

import pytest

from library_common.ids import new_id
from tests.fakes.sqs import SqsInMemory, batch, failed, in_place_of_sqs, message, queue
from tests.fakes.users import Community
from tests.support.clock import NOON
from tests.support.operator_log import OperatorLog
from users_service import code_sender
from users_service.adapters.code_queue import from_message, notice_message, to_message
from users_service.domain.codes import LIFETIME, AddressNotice, Channel, CodeRequest, Purpose

pytestmark = pytest.mark.unit

EMAIL = "ann@example.org"


@pytest.fixture(autouse=True)
def sqs(monkeypatch: pytest.MonkeyPatch) -> SqsInMemory:
    return in_place_of_sqs(monkeypatch)


def deliver(community: Community, *records: dict[str, Any]) -> list[str]:
    """The ids of the messages that are to come again."""
    consumer = code_sender.consumer(
        community.send_code, community.send_notice, queue(retry_delays=code_sender.RETRY_DELAYS)
    )
    return failed(consumer(batch(*records), None))


def a_request(community: Community, email: str = EMAIL) -> CodeRequest:
    community.use_cases.ask_for_code(Purpose.PASSWORD_RESET, email, Channel.SMS)
    return community.code_requests.waiting[-1]


def test_a_message_says_what_was_asked_for(community: Community) -> None:
    request = a_request(community)
    assert from_message(to_message(request)) == request


def test_a_code_is_sent_and_its_line_says_no_more_than_that(community: Community, log: OperatorLog) -> None:
    community.join(email=EMAIL)
    request = a_request(community)

    assert deliver(community, message(to_message(request))) == []

    (line,) = log.invocations
    assert (line["route"], line["status"], line["correlation_id"]) == ("code sender", "sent", request.correlation_id)
    assert line["request_id"] == request.id
    for personal in (EMAIL, community.sent_messages.sent[-1].digits):
        assert personal not in log.text


def test_what_fails_comes_again_alone_and_later_each_time(
    community: Community, log: OperatorLog, sqs: SqsInMemory
) -> None:
    community.join(email=EMAIL)
    bob = community.join(email="bob@example.org")
    community.sent_messages.failures.append(RuntimeError(f"{EMAIL} is not verified"))
    first, second = (to_message(a_request(community, email)) for email in (EMAIL, "bob@example.org"))

    assert deliver(community, message(first, 1, received=3), message(second, 2)) == ["m1"]
    assert sqs.pauses == [("m1", 60)]

    assert [sent.to for sent in community.sent_messages.sent] == [bob.email]
    assert [line["status"] for line in log.invocations] == ["failed", "sent"]
    assert EMAIL not in log.text


BAD = ["not json", "[]", "7", "null", "{}", json.dumps({"id": 1, "purpose": "nonsense"})]


@pytest.mark.parametrize("body", BAD)
def test_a_message_that_cannot_be_read_is_set_aside(community: Community, body: str, sqs: SqsInMemory) -> None:
    assert deliver(community, message(body)) == []
    assert [letter.body for letter in sqs.set_aside] == [body]


def test_what_is_set_aside_says_why_but_not_about_whom(
    community: Community, log: OperatorLog, sqs: SqsInMemory
) -> None:
    community.join(email=EMAIL)
    community.sent_messages.failures.append(RuntimeError(f"{EMAIL} is not verified"))

    assert deliver(community, message(to_message(a_request(community)), received=5)) == []

    (letter,) = sqs.set_aside
    assert letter.said["reason"] == "RuntimeError"
    assert EMAIL not in str(letter.said) + log.text


def test_all_tries_fit_into_the_life_of_a_code() -> None:
    assert sum(code_sender.RETRY_DELAYS) * 1.25 < LIFETIME.total_seconds()


def test_a_notice_goes_to_the_old_address_in_the_same_way(community: Community, log: OperatorLog) -> None:
    notice = AddressNotice(id=new_id(), email="old@example.org", changed_at=NOON, correlation_id="c-1")
    assert from_message(notice_message(notice)) == notice

    assert deliver(community, message(notice_message(notice))) == []

    (sent,) = community.mail_to("old@example.org")
    assert "21 November 2026 at 12:00 UTC" in sent.body
    assert "old@example.org" not in log.text
    community.sent_messages.failures.append(ConnectionError("no mail"))
    assert deliver(community, message(notice_message(notice))) == ["m1"], "it comes again"
