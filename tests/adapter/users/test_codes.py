"""What every `Codes` does, in memory and on DynamoDB alike, and the queue and the messages on AWS."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from moto.ses.models import ses_backends
from moto.sns.models import sns_backends
from mypy_boto3_dynamodb import DynamoDBClient

from library_common import aws
from library_common.dynamodb import Table
from library_common.ids import new_id
from library_common.versions import VersionConflict
from tests.adapter.users.steps import TABLE, add, an_event, changed
from tests.fakes.codes import FakeCodes
from tests.fakes.users import FakeMembers
from tests.support.clock import NOON
from users_service.adapters.code_queue import QueuedCodeRequests, from_message
from users_service.adapters.codes import DynamoCodes
from users_service.adapters.dynamodb import DynamoMembers
from users_service.adapters.expiry_queue import ExpiryQueue
from users_service.adapters.expiry_queue import from_message as place_in
from users_service.adapters.message_sender import AwsMessageSender
from users_service.application.ports import Codes, CodeSpent, Members, Superseded, Undeliverable
from users_service.domain.codes import LIFETIME, TRIES, Channel, Code, CodeRequest, Purpose
from users_service.domain.membership import Status
from users_service.domain.model import Member
from users_service.domain.search import Filters, Position

pytestmark = pytest.mark.adapter

SECOND = timedelta(seconds=1)
RESET = Purpose.PASSWORD_RESET


@dataclass
class Stores:
    """Members and their codes on the same storage."""

    members: Members
    codes: Codes

    @property
    def ann(self) -> Member:
        (member,), _ = self.members.page(Filters(), after=None, limit=2, now=NOON)
        return member


@pytest.fixture(params=["in memory", "on DynamoDB"])
def stores(request: pytest.FixtureRequest) -> Stores:
    stores = Stores(*_stores(request))
    add(stores.members, email="ann@example.org")
    return stores


def _stores(request: pytest.FixtureRequest) -> tuple[Members, Codes]:
    if request.param == "in memory":
        members = FakeMembers()
        return members, FakeCodes(members)
    table: Table = request.getfixturevalue("table")
    return DynamoMembers(table), DynamoCodes(table)


def a_code(member: Member, code_hash: str = "hash", request_id: str | None = None, **more: Any) -> Code:
    defaults: dict[str, Any] = {"purpose": RESET, "channel": Channel.EMAIL, "expires_at": NOON + LIFETIME}
    return Code(
        user_id=member.id,
        code_hash=code_hash,
        request_id=request_id or new_id(),
        sent_to=member.email_key,
        **(defaults | more),
    )


# -- codes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", list(Channel))
def test_a_code_is_read_as_kept_with_one_try_less(stores: Stores, channel: Channel) -> None:
    code = a_code(stores.ann, channel=channel)
    stores.codes.keep(code, stores.ann)

    for tries in range(1, TRIES + 1):
        assert stores.codes.count_try(code.user_id, RESET, NOON) == replace(code, tries=tries)
    assert stores.codes.count_try(code.user_id, RESET, NOON) is None


def test_an_account_that_changed_meanwhile_gets_no_code(stores: Stores) -> None:
    read = stores.ann
    stores.members.save(changed(read, name="New"), before=read, happened=[])

    with pytest.raises(VersionConflict):
        stores.codes.keep(a_code(read), read)

    assert stores.codes.count_try(read.id, RESET, NOON) is None


def test_who_was_erased_meanwhile_gets_no_code(stores: Stores) -> None:
    read = stores.ann
    stores.members.erase(read, happened=[], now=NOON)

    with pytest.raises(VersionConflict):
        stores.codes.keep(a_code(read), read)

    assert stores.codes.count_try(read.id, RESET, NOON) is None


def test_there_is_none_for_another_account_or_purpose(stores: Stores) -> None:
    stores.codes.keep(a_code(stores.ann), stores.ann)

    assert stores.codes.count_try(new_id(), RESET, NOON) is None
    assert stores.codes.count_try(stores.ann.id, Purpose.VERIFY_EMAIL, NOON) is None


def test_a_code_ends_with_its_time_even_if_it_is_still_stored(stores: Stores) -> None:
    stores.codes.keep(a_code(stores.ann), stores.ann)

    assert stores.codes.count_try(stores.ann.id, RESET, NOON + LIFETIME - SECOND) is not None
    assert stores.codes.count_try(stores.ann.id, RESET, NOON + LIFETIME) is None


def test_a_new_code_has_all_its_tries(stores: Stores) -> None:
    first, second = a_code(stores.ann, "1"), a_code(stores.ann, "2")
    stores.codes.keep(first, stores.ann)
    for _ in range(TRIES):
        stores.codes.count_try(stores.ann.id, RESET, NOON)
    stores.codes.keep(second, stores.ann)

    assert stores.codes.count_try(stores.ann.id, RESET, NOON) == replace(second, tries=1)


def test_an_unsent_code_is_replaced_for_the_same_request_a_sent_one_is_not(stores: Stores) -> None:
    code = a_code(stores.ann, "1")
    stores.codes.keep(code, stores.ann)
    again = replace(code, code_hash="2")
    stores.codes.keep(again, stores.ann)
    stores.codes.mark_sent(again)

    with pytest.raises(Superseded):
        stores.codes.keep(replace(code, code_hash="3"), stores.ann)
    assert stores.codes.count_try(stores.ann.id, RESET, NOON) == replace(again, tries=1)


def test_a_code_for_an_earlier_request_comes_too_late(stores: Stores) -> None:
    earlier, later = sorted(new_id() for _ in range(2))
    stores.codes.keep(a_code(stores.ann, "2", later), stores.ann)

    with pytest.raises(Superseded):
        stores.codes.keep(a_code(stores.ann, "1", earlier), stores.ann)
    stores.codes.mark_sent(a_code(stores.ann, "1", earlier))
    stores.codes.keep(a_code(stores.ann, "3", later), stores.ann)


def test_a_code_is_spent_once_with_all_it_does(stores: Stores) -> None:
    before = stores.ann
    code = a_code(before)
    stores.codes.keep(code, stores.ann)
    after = changed(before, session_epoch=1, email_verified_at=NOON)

    stores.codes.spend(code, after, before=before, password_hash="new", happened=[an_event(after)], now=NOON)

    assert stores.members.get(before.id) == after
    assert stores.members.password_hash(before.id) is not None
    assert stores.codes.count_try(before.id, RESET, NOON) is None
    with pytest.raises(CodeSpent):
        stores.codes.spend(code, changed(after), before=after, password_hash="newer", happened=[], now=NOON)
    assert stores.members.get(before.id) == after


def test_a_spent_code_keeps_its_request_answered(stores: Stores) -> None:
    code = a_code(stores.ann)
    stores.codes.keep(code, stores.ann)
    stores.codes.mark_sent(code)
    stores.codes.spend(code, stores.ann, before=stores.ann, password_hash=None, happened=[], now=NOON)

    with pytest.raises(Superseded):
        stores.codes.keep(replace(code, code_hash="again"), stores.ann)


def test_an_account_changed_meanwhile_leaves_the_code_as_it_was(stores: Stores) -> None:
    before = stores.ann
    code = a_code(before)
    stores.codes.keep(code, stores.ann)
    stores.members.save(changed(before, name="Faster"), before=before, happened=[])

    with pytest.raises(VersionConflict):
        stores.codes.spend(
            code, changed(before, session_epoch=1), before=before, password_hash="new", happened=[], now=NOON
        )
    assert stores.ann.name == "Faster"
    assert stores.codes.count_try(before.id, RESET, NOON) == replace(code, tries=1)


def test_a_code_that_another_took_the_place_of_does_nothing(stores: Stores) -> None:
    before, old = stores.ann, a_code(stores.ann, "1")
    stores.codes.keep(old, stores.ann)
    stores.codes.keep(a_code(before, "2"), stores.ann)

    with pytest.raises(CodeSpent):
        stores.codes.spend(old, changed(before), before=before, password_hash="new", happened=[], now=NOON)
    assert stores.ann == before


def test_who_never_had_a_password_has_none(stores: Stores) -> None:
    assert stores.members.password_hash(new_id()) is None
    assert stores.members.password_hash(stores.ann.id) is not None


def test_a_first_password_is_set_by_code(stores: Stores) -> None:
    member = stores.ann
    other = replace(member, id=new_id(), email="b@example.org", email_key="b@example.org")
    stores.members.add(other, password_hash=None, happened=[], ticket=None, answer="", now=NOON)
    code = a_code(other)
    stores.codes.keep(code, other)
    assert stores.members.password_hash(other.id) is None

    stores.codes.spend(code, changed(other), before=other, password_hash="new", happened=[], now=NOON)
    assert stores.members.password_hash(other.id) is not None


def test_guesses_at_the_same_time_are_counted_one_by_one(table: Table) -> None:
    codes, member = DynamoCodes(table), add(DynamoMembers(table))
    codes.keep(a_code(member), member)

    with ThreadPoolExecutor(8) as pool:
        counted = list(pool.map(lambda _: codes.count_try(member.id, RESET, NOON), range(20)))

    assert sorted(code.tries for code in counted if code is not None) == list(range(1, TRIES + 1))


def test_a_code_is_stored_hashed_with_an_end_and_the_events_of_its_use_beside_the_account(
    table: Table, dynamodb: DynamoDBClient
) -> None:
    codes, member = DynamoCodes(table), add(DynamoMembers(table))
    code = a_code(member)
    codes.keep(code, member)
    codes.spend(code, changed(member), before=member, password_hash="p", happened=[an_event(member)], now=NOON)

    items = {item["sk"]["S"]: item for item in dynamodb.scan(TableName=TABLE)["Items"]}
    kept = items["CODE#password_reset"]
    assert "code_hash" not in kept
    assert kept["expires_at_epoch"] == {"N": str(int((NOON + LIFETIME).timestamp()))}
    assert "MemberRegistered" in items["PROFILE"]["events"]["S"]
    assert items["CREDENTIALS"]["password_hash"] == {"S": "p"}


# -- whose time has passed ------------------------------------------------------------------------


def walk(members: Members, now: datetime) -> list[str]:
    names, after = [], None
    while True:
        found, after = members.ended(after=after, now=now)
        names += [member.name for member in found]
        if after is None:
            return names


@pytest.mark.parametrize("kind", ["in memory", "on DynamoDB"])
def test_those_whose_time_has_passed_are_found_by_name(kind: str, request: pytest.FixtureRequest) -> None:
    members: Members = FakeMembers() if kind == "in memory" else DynamoMembers(request.getfixturevalue("table"))
    moments = (None, NOON - SECOND, NOON, NOON + SECOND)
    everybody = [
        add(members, name=f"Member {number:03}", stored_status=status, suspended_until=until, expires_at=end)
        for number, (status, until, end) in enumerate((s, u, e) for s in Status for u in moments for e in moments)
    ]

    assert walk(members, NOON) == [m.name for m in everybody if m.status(NOON) is not m.stored_status]
    after = Position("member 020", everybody[20].id)
    rest, _ = members.ended(after=after, now=NOON)
    assert all(member.name > "Member 020" for member in rest)


# -- the queues and the messages ------------------------------------------------------------------


@pytest.fixture
def clients(dynamodb: DynamoDBClient) -> Iterator[None]:
    """The services' own clients, made anew on moto."""
    aws._client.cache_clear()
    yield
    aws._client.cache_clear()


@pytest.fixture
def queue(clients: None) -> str:
    return str(boto3.client("sqs").create_queue(QueueName="codes")["QueueUrl"])


def received(queue: str) -> list[Any]:
    return list(boto3.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []))


def test_a_request_comes_out_of_the_queue_as_it_was_put_in_and_again_after_a_pause(queue: str) -> None:
    request = CodeRequest(
        id=new_id(),
        purpose=RESET,
        email_key="änn@example.org",
        channel=Channel.SMS,
        requested_at=NOON,
        correlation_id="c",
    )
    requests = QueuedCodeRequests(queue)
    requests.put(request)

    (message,) = received(queue)
    assert from_message(message["Body"]) == request


def test_a_round_goes_on_where_it_was(queue: str) -> None:
    ExpiryQueue(queue).go_on(Position("ann\u00e9", "0" * 26), failed=3)
    (message,) = received(queue)
    assert place_in(message["Body"]) == (Position("ann\u00e9", "0" * 26), 3)


@pytest.fixture
def sender(clients: None) -> AwsMessageSender:
    boto3.client("ses").verify_email_identity(EmailAddress="library@example.org")
    return AwsMessageSender(mail_from="library@example.org", library="Büchereï, Town")


def mails() -> list[Any]:
    return list(ses_backends["123456789012"]["eu-west-1"].sent_messages)


def test_an_e_mail_goes_to_one_address_from_the_library(sender: AwsMessageSender) -> None:
    sender.email("Ann@Bücher.example", "Sübject", "Bödy")

    (mail,) = mails()
    assert mail.destinations["ToAddresses"] == ["Ann@xn--bcher-kva.example"]
    assert (mail.subject, mail.body) == ("Sübject", "Bödy")
    assert mail.source.endswith("<library@example.org>")
    assert mail.source.isascii()


def test_an_address_no_server_takes_is_given_up(sender: AwsMessageSender) -> None:
    with pytest.raises(Undeliverable):
        sender.email("änn@example.org", "s", "b")


INJECTED = ["ann@example.org\nBcc: eve@example.org", "ann@example.org, eve@example.org", "<ann@example.org>", "ann"]


@pytest.mark.parametrize("address", INJECTED)
def test_nothing_can_be_put_into_the_headers_by_an_address(sender: AwsMessageSender, address: str) -> None:
    with pytest.raises(Undeliverable):
        sender.email(address, "s", "b")
    assert mails() == []


def test_an_unverified_sender_is_an_error_to_try_again(clients: None) -> None:
    sender = AwsMessageSender(mail_from="nobody@example.net", library="Library")
    with pytest.raises(Exception, match="MessageRejected"):
        sender.email("ann@example.org", "s", "b")


def test_a_text_message_goes_to_a_number(sender: AwsMessageSender) -> None:
    sender.text("+441632960001", "123456 is your code")

    sent = sns_backends["123456789012"]["eu-west-1"].sms_messages
    assert [(number, text) for number, text, *_ in sent.values()] == [("+441632960001", "123456 is your code")]


def test_a_request_holds_nothing_but_what_the_sender_needs(queue: str) -> None:
    requests = QueuedCodeRequests(queue)
    requests.put(
        CodeRequest(
            id="R",
            purpose=RESET,
            email_key="a@example.org",
            channel=Channel.EMAIL,
            requested_at=NOON,
            correlation_id="c",
        )
    )
    (message,) = received(queue)
    assert json.loads(message["Body"]).keys() == {
        "id", "purpose", "email_key", "channel", "requested_at", "correlation_id",
    }  # fmt: skip
