"""What SES and SNS are asked, and what their answers mean."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from library_common import aws
from notifications_service.adapters.push_payload import push_payload
from notifications_service.adapters.ses import SesSender
from notifications_service.adapters.sns import PushSender, SmsSender
from notifications_service.application.ports import Account, NotSent, Refused, Rendered, Unknown
from tests.fakes.notifications import FakeDevices, FakePush
from tests.support.operator_log import reading_the_log

pytestmark = pytest.mark.unit

ANN = Account("U", "Ann", "ann@example.org", "+254711222333", None)
MESSAGE = Rendered("Dune", "You borrowed Dune.", "<p>You borrowed Dune.</p>")
URL = "https://example.org"


def refusal(code: str, status: int = 400, said: str = "about") -> ClientError:
    answer = {"Error": {"Code": code, "Message": f"{said} {ANN.email}"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(cast("Any", answer), "Send")


@dataclass
class Client:
    """An AWS client that remembers what it was asked. failures: by target, or for all under an empty name."""

    failures: dict[str, Exception] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def _ask(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        failure = self.failures.get(request.get("TargetArn", ""))
        if failure is not None:
            raise failure
        return {}

    send_email = publish = _ask

    def __call__(self) -> Any:
        return self


def by_mail(client: Client, account: Account = ANN) -> None:
    SesSender(mail_from="library@example.org", library="Bücherei, Haupt", client=client).send(account, MESSAGE)


def by_text(client: Client, account: Account = ANN) -> None:
    SmsSender(client).send(account, MESSAGE)


@pytest.mark.parametrize("way", [by_mail, by_text])
@pytest.mark.parametrize(
    ("failure", "meaning"),
    [
        (refusal("Throttling"), NotSent),
        (refusal("ServiceUnavailable", 503), NotSent),
        (refusal("InternalError", 500), NotSent),
        (refusal("AccountSendingPausedException"), NotSent),
        (refusal("AccessDenied", 403), NotSent),
        (refusal("InvalidParameter"), Refused),
        (ConnectTimeoutError(endpoint_url=URL), NotSent),
        (EndpointConnectionError(endpoint_url=URL), NotSent),
        (NoCredentialsError(), NotSent),
        (ReadTimeoutError(endpoint_url=URL), Unknown),
        (ConnectionClosedError(endpoint_url=URL), Unknown),
        (ResponseParserError("Unable to parse response, invalid XML: {}"), Unknown),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)[:40]),
)
def test_what_a_failure_means(
    way: Callable[[Client], None], failure: Exception, meaning: type[NotSent | Refused | Unknown]
) -> None:
    with pytest.raises(meaning) as found:
        way(Client({"": failure}))

    assert ANN.email not in str(found.value)


def test_a_rejected_message_is_refused_for_good() -> None:
    with pytest.raises(Refused, match="MessageRejected"):
        by_mail(Client({"": refusal("MessageRejected")}))


@pytest.mark.parametrize(
    "said",
    [
        "Email address is not verified. The following identities failed the check in region EU-WEST-1:",
        "Sending paused for this account. For more information, please check the inbox of",
        "Sending suspended for this account.",
        "Configuration set does not exist",
        "Configuration set sending is paused",
    ],
)
def test_what_the_library_has_to_put_right_is_no_fault_of_the_members(said: str) -> None:
    with pytest.raises(NotSent, match="MessageRejected") as found:
        by_mail(Client({"": refusal("MessageRejected", said=said)}))
    assert ANN.email not in str(found.value)


def test_an_e_mail_has_both_parts_and_one_recipient() -> None:
    client = Client()
    by_mail(client, Account("U", "Ann", "ann@bücher.example", None, None))

    (asked,) = client.asked
    assert asked["Destination"] == {"ToAddresses": ["ann@xn--bcher-kva.example"]}
    assert asked["Message"]["Subject"] == {"Data": "Dune", "Charset": "UTF-8"}
    assert {part: content["Data"] for part, content in asked["Message"]["Body"].items()} == {
        "Text": MESSAGE.text,
        "Html": MESSAGE.html,
    }
    assert asked["Source"].endswith("<library@example.org>")


@pytest.mark.parametrize(
    "address", ["", "ann", "a@", "@b", "a@b\r\nBcc: c@d", "a@b, c@d", "a b@c", "<a@b>", "á@example.org"]
)
def test_what_is_no_single_address_is_never_handed_over(address: str) -> None:
    client = Client()
    with pytest.raises(Refused, match="no_address"):
        by_mail(client, Account("U", "Ann", address, None, None))
    assert client.asked == []


def test_a_member_without_a_number_cannot_be_texted() -> None:
    with pytest.raises(Refused, match="no_address"):
        by_text(Client(), Account("U", "Ann", "a@b", None, None))


# -- push -----------------------------------------------------------------------------------------


def with_endpoints(**by_member: list[str]) -> FakeDevices:
    devices = FakeDevices()
    for user_id, endpoints in by_member.items():
        devices.put(user_id, *endpoints)
    return devices


def push(client: Client, *endpoints: str, centre: FakePush | None = None, **others: list[str]) -> FakeDevices:
    devices = with_endpoints(U=list(endpoints), **others)
    PushSender(devices, centre or FakePush(), client).send(ANN, MESSAGE)
    return devices


def test_every_device_gets_it_in_its_own_form() -> None:
    client = Client()
    push(client, "arn:1", "arn:2")

    assert [asked["TargetArn"] for asked in client.asked] == ["arn:1", "arn:2"]
    payload = json.loads(client.asked[0]["Message"])
    assert json.loads(payload["APNS"])["aps"]["alert"] == {"title": "Dune", "body": MESSAGE.text}
    assert json.loads(payload["GCM"])["notification"] == {"title": "Dune", "body": MESSAGE.text}
    assert payload["default"] == MESSAGE.text


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("EndpointDisabled", "Endpoint is disabled"),
        ("NotFound", "Endpoint does not exist"),
        ("InvalidParameter", "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified"),
        ("InvalidParameter", "Invalid parameter: Token Reason: iOS device tokens must be 64 hexadecimal characters"),
        ("ValidationException", "1 validation error detected: Value 'x' at 'targetArn' failed to satisfy constraint"),
    ],
)
def test_a_device_that_is_gone_is_forgotten_and_the_others_have_it(code: str, said: str) -> None:
    client = Client({"arn:1": refusal(code, said=said)})

    assert push(client, "arn:1", "arn:2").endpoints("U") == ["arn:2"]


@pytest.mark.parametrize(
    "said",
    [
        "Invalid parameter: Message Reason: Invalid notification for protocol APNS: Notification is too large",
        "Invalid parameter: Message too long",
        "Invalid parameter: JSON must contain an entry for 'default' or 'GCM'.",
        "Invalid parameter: Message Structure - JSON message body failed to parse: unexpected token",
        "",
    ],
)
def test_a_message_that_is_not_taken_costs_nobody_their_device(said: str) -> None:
    refused = refusal("InvalidParameter", said=said)
    devices = with_endpoints(U=["arn:1", "arn:2"])
    centre = FakePush()

    with pytest.raises(Refused, match="InvalidParameter"):
        PushSender(devices, centre, Client({"arn:1": refused, "arn:2": refused})).send(ANN, MESSAGE)
    PushSender(devices, centre, Client({"arn:1": refused})).send(ANN, MESSAGE)

    assert (devices.endpoints("U"), centre.forgotten) == (["arn:1", "arn:2"], [])


# From one byte a character to four, and what JSON writes with two and six.
LONG = [
    "x" * 5000,
    "ж" * 2000,
    "\U0001f4da" * 3000,
    '"' * 3000,
    "\\" * 3000,
    f"\u2067{'ж' * 3000}\u2069",
    "x y\n" * 2000,
]


@pytest.mark.parametrize("text", LONG, ids=lambda text: ascii(text[:2]))
@pytest.mark.parametrize("title", ["Закрыто", "\U0001f4da" * 500, '"' * 2000])
def test_what_is_too_long_for_the_platforms_is_cut_between_characters(title: str, text: str) -> None:
    payload = json.loads(push_payload(Rendered(title, text)))

    for platform in ("APNS", "APNS_SANDBOX", "GCM"):
        assert 3900 < len(payload[platform].encode()) <= 4000
    for shown in (json.loads(payload["APNS"])["aps"]["alert"], json.loads(payload["GCM"])["notification"]):
        assert shown["body"].endswith("…")
        assert text.lstrip("\u2067").startswith(shown["body"][:-1])
        assert "\u2067" not in shown["body"], "what is not closed any more would turn round what comes after it"
        assert shown["title"] == title or (shown["title"].endswith("…") and title.startswith(shown["title"][:-1]))
    assert len(payload["default"].encode()) <= 4000


def test_what_fits_is_not_touched() -> None:
    for text in ("", "Dune\nEmma", "x" * 3900):
        payload = json.loads(push_payload(Rendered("Dune", text)))
        assert json.loads(payload["APNS"])["aps"]["alert"] == {"title": "Dune", "body": text}
        assert (json.loads(payload["GCM"])["notification"]["body"], payload["default"]) == (text, text)


@pytest.mark.parametrize("code", ["EndpointDisabled", "NotFound"])
def test_a_device_that_is_gone_is_forgotten_at_the_push_service_too(code: str) -> None:
    centre = FakePush()
    push(Client({"arn:1": refusal(code), "arn:3": refusal("Throttling")}), "arn:1", "arn:2", "arn:3", centre=centre)

    assert centre.forgotten == ["arn:1"]


def test_an_endpoint_that_is_another_members_by_now_stays() -> None:
    centre = FakePush()
    devices = push(Client({"arn:1": refusal("EndpointDisabled")}), "arn:1", "arn:2", centre=centre, other=["arn:1"])

    assert (devices.endpoints("U"), devices.endpoints("other"), centre.forgotten) == (["arn:2"], ["arn:1"], [])


def test_a_push_service_that_does_not_forget_keeps_nobody_from_their_message() -> None:
    class Stubborn(FakePush):
        def forget(self, endpoint: str) -> None:
            raise refusal("InternalError")

    client = Client({"arn:1": refusal("EndpointDisabled")})
    with reading_the_log() as log:
        devices = push(client, "arn:1", "arn:2", centre=Stubborn())

    assert [asked["TargetArn"] for asked in client.asked] == ["arn:1", "arn:2"]
    assert devices.endpoints("U") == ["arn:2"]
    assert [line["failure"] for line in log.lines if "push service" in line.get("message", "")] == ["ClientError"]


def test_without_a_device_there_is_no_address() -> None:
    with pytest.raises(Refused, match="no_address"):
        push(Client())
    with pytest.raises(Refused, match="no_address"):
        push(Client({"arn:1": refusal("EndpointDisabled")}), "arn:1")


def test_one_that_may_have_it_weighs_more_than_one_that_has_not() -> None:
    client = Client({"arn:1": ReadTimeoutError(endpoint_url=URL), "arn:2": refusal("Throttling")})
    with pytest.raises(Unknown):
        push(client, "arn:1", "arn:2")
    with pytest.raises(NotSent):
        push(Client({"arn:2": refusal("PlatformApplicationDisabled")}), "arn:2")


@dataclass
class Slow(Client):
    """A client that takes its time. takes: seconds by target, what is not named answers at once."""

    takes: dict[str, float] = field(default_factory=dict)
    clock: float = 0.0

    def publish(self, **request: Any) -> dict[str, Any]:
        self.clock += self.takes.get(request["TargetArn"], 0)
        return self._ask(**request)

    def push(self, devices: FakeDevices) -> None:
        PushSender(devices, FakePush(), self, lambda: self.clock).send(ANN, MESSAGE)


ENDPOINTS = [f"arn:{number}" for number in range(10)]
SILENT = ReadTimeoutError(endpoint_url=URL)


def test_when_the_provider_falls_silent_the_other_devices_are_not_tried() -> None:
    silent = Slow(dict.fromkeys(ENDPOINTS, SILENT), takes=dict.fromkeys(ENDPOINTS, 8))
    with pytest.raises(Unknown):
        silent.push(with_endpoints(U=list(ENDPOINTS)))
    assert (len(silent.asked), silent.clock) == (1, 8)

    # The first one has it: nobody sends it there again.
    later = Slow(dict.fromkeys(ENDPOINTS[1:], SILENT), takes=dict.fromkeys(ENDPOINTS[1:], 8))
    later.push(with_endpoints(U=list(ENDPOINTS)))
    assert (len(later.asked), later.clock) == (2, 8)


def test_there_is_only_so_much_time_for_all_devices() -> None:
    unreachable = Slow(
        dict.fromkeys(ENDPOINTS, ConnectTimeoutError(endpoint_url=URL)), takes=dict.fromkeys(ENDPOINTS, 2)
    )
    with pytest.raises(NotSent, match="ConnectTimeoutError"):
        unreachable.push(with_endpoints(U=list(ENDPOINTS)))
    assert unreachable.clock == 6

    slow = Slow(takes=dict.fromkeys(ENDPOINTS, 4))
    slow.push(with_endpoints(U=list(ENDPOINTS)))
    assert slow.clock == 8


def test_time_that_is_over_is_no_refusal() -> None:
    gone = Slow(dict.fromkeys(ENDPOINTS, refusal("EndpointDisabled")), takes=dict.fromkeys(ENDPOINTS, 2))
    devices = with_endpoints(U=list(ENDPOINTS))
    with pytest.raises(NotSent, match="out_of_time"):
        gone.push(devices)

    assert devices.endpoints("U") == ENDPOINTS[3:], "those that are left have their turn"


def test_clients_for_sending_try_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repeat after a timeout would be a second message of which nobody knows."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    aws._client.cache_clear()
    try:
        for client in (aws.ses_without_retries(), aws.sns_without_retries()):
            config: Any = client.meta.config
            assert config.retries["total_max_attempts"] == 1
            assert config.connect_timeout + config.read_timeout <= 10
    finally:
        aws._client.cache_clear()
