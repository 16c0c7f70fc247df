"""Devices: at most ten, each one's own, forgotten when they are gone; and what SNS is told of them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest

from library_common import aws
from library_common.dynamodb import Table
from library_common.ids import new_id
from notifications_service import bootstrap
from notifications_service.adapters.devices import DynamoDevices
from notifications_service.adapters.notice_plans import DynamoNoticePlans
from notifications_service.adapters.preferences import DynamoPreferences
from notifications_service.adapters.push import SnsPush
from notifications_service.application.devices import MemberDevices
from notifications_service.application.preferences import MemberPreferences
from notifications_service.domain.devices import MAX_DEVICES, Device, Platform
from notifications_service.domain.errors import DeviceRefused, PushNotConfigured, TooManyDevices, UserNotFound
from notifications_service.http import build
from tests.fakes.notifications import FakePush
from tests.fakes.post_office import Post, event
from tests.support.clock import NOON, FixedClock
from tests.support.lambda_events import Answer, api_event, call, person
from tests.support.tables import dynamodb_in_moto

pytestmark = pytest.mark.adapter

ANN = "01JD8Y3V5QWZ6X7R8T9B0C1D2E"


def endpoints(devices: DynamoDevices, user_id: str) -> list[str]:
    return [device.endpoint for device in devices.devices(user_id)]


def device(number: int, *, token: str | None = None) -> Device:
    key = token or f"token-{number}"
    return Device(f"phone-{number}", Platform.IOS, f"arn:{key}", key, NOON)


@pytest.fixture
def devices(table: Table) -> DynamoDevices:
    return DynamoDevices(table)


def test_a_device_is_registered_once_however_often(devices: DynamoDevices) -> None:
    for _ in range(3):
        devices.add("A", device(1))
    devices.add("A", device(2))

    assert devices.devices("A") == [device(1), device(2)]
    assert endpoints(devices, "A") == ["arn:token-1", "arn:token-2"]
    assert endpoints(devices, "B") == []


def test_a_new_token_takes_the_place_of_the_old_one(devices: DynamoDevices, table: Table) -> None:
    devices.add("A", device(1))
    devices.add("A", replace(device(1), token_key="token-9", endpoint="arn:token-9"))

    assert endpoints(devices, "A") == ["arn:token-9"]
    assert table.get({"pk": "TOKEN#token-1", "sk": "OWNER"}) is None


def test_a_device_that_changes_hands_shows_nothing_of_its_former_owner(devices: DynamoDevices) -> None:
    devices.add("A", device(1))
    devices.add("B", device(7, token="token-1"))

    assert endpoints(devices, "A") == []
    assert endpoints(devices, "B") == ["arn:token-1"]


def test_an_app_that_was_installed_anew_is_no_second_device(devices: DynamoDevices) -> None:
    devices.add("A", device(1))
    devices.add("A", device(2, token="token-1"))
    assert [each.id for each in devices.devices("A")] == ["phone-2"]


def test_ten_and_no_more_until_one_goes(devices: DynamoDevices) -> None:
    for number in range(MAX_DEVICES):
        devices.add("A", device(number))
    with pytest.raises(TooManyDevices):
        devices.add("A", device(99))
    devices.add("A", device(3))  # one of the ten

    assert devices.remove("A", "phone-0") == device(0)
    devices.add("A", device(99))
    assert len(endpoints(devices, "A")) == MAX_DEVICES


def test_removing_is_done_once_and_is_no_error_twice(devices: DynamoDevices, table: Table) -> None:
    devices.add("A", device(1))

    assert devices.remove("A", "phone-1") == device(1)
    assert devices.remove("A", "phone-1") is None
    assert endpoints(devices, "A") == []
    assert table.get({"pk": "TOKEN#token-1", "sk": "OWNER"}) is None


def test_an_endpoint_nobody_is_at_is_forgotten(devices: DynamoDevices) -> None:
    devices.add("A", device(1))
    devices.add("A", device(2))

    assert devices.forget("A", "arn:token-1")
    assert not devices.forget("A", "arn:token-1")
    assert endpoints(devices, "A") == ["arn:token-2"]


def test_an_endpoint_that_came_back_meanwhile_is_not_forgotten(
    devices: DynamoDevices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SNS said that it is gone. Before the sender removed it, the app registered again, or another member's did."""
    devices.add("A", device(1))
    stale = devices.devices("A")
    devices.add("A", replace(device(1), endpoint="arn:new", token_key="token-new"))
    with monkeypatch.context() as patched:
        patched.setattr(devices, "devices", lambda _: stale)
        assert not devices.forget("A", "arn:token-1")
    assert endpoints(devices, "A") == ["arn:new"]

    devices.add("B", replace(device(2), endpoint="arn:new", token_key="token-new"))
    assert not devices.forget("A", "arn:new")
    assert (endpoints(devices, "A"), endpoints(devices, "B")) == ([], ["arn:new"])


def test_an_endpoint_that_another_member_has_by_the_time_it_is_forgotten_is_not_nobodys(
    devices: DynamoDevices, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices.add("A", device(1))
    taken_away = devices.remove

    def remove(user_id: str, device_id: str, *, only_at: str | None = None) -> Device | None:
        gone = taken_away(user_id, device_id, only_at=only_at)
        devices.add("B", device(1))
        return gone

    monkeypatch.setattr(devices, "remove", remove)
    assert not devices.forget("A", "arn:token-1")
    assert endpoints(devices, "B") == ["arn:token-1"]


def test_the_token_is_kept_nowhere(devices: DynamoDevices, dynamodb: Any) -> None:
    MemberDevices(devices, FakePush(), FixedClock()).register("A", "phone", Platform.ANDROID, "a-secret-token")
    stored = dynamodb.scan(TableName="notifications")["Items"]
    assert len(stored) == 3
    assert "a-secret-token" not in str(stored)


def test_a_removed_device_is_forgotten_by_the_push_service(devices: DynamoDevices) -> None:
    push = FakePush()
    cases = MemberDevices(devices, push, FixedClock())
    cases.register("A", "phone", Platform.IOS, "token-token")
    cases.remove("A", "phone")
    cases.remove("A", "phone")

    assert push.endpoints == set()


@pytest.fixture
def plans(dynamodb: Any) -> DynamoNoticePlans:
    return DynamoNoticePlans(Table("notifications", lambda: dynamodb))


def test_an_erased_member_registers_nothing_and_takes_no_device(
    devices: DynamoDevices, plans: DynamoNoticePlans
) -> None:
    push = FakePush()
    cases = MemberDevices(devices, push, FixedClock())
    cases.register("B", "phone", Platform.IOS, "token-of-b")
    plans.close("A", NOON)

    for token in ("token-of-a", "token-of-b"):
        with pytest.raises(UserNotFound):
            cases.register("A", "phone", Platform.IOS, token)

    assert endpoints(devices, "A") == []
    assert set(endpoints(devices, "B")) == push.endpoints


def test_a_member_who_is_erased_while_registering_leaves_no_endpoint(
    devices: DynamoDevices, plans: DynamoNoticePlans, dynamodb: Any
) -> None:
    class ErasedMeanwhile(FakePush):
        def register(self, token: str) -> str:
            plans.close("A", NOON)
            return super().register(token)

    push = ErasedMeanwhile()
    with pytest.raises(UserNotFound):
        MemberDevices(devices, push, FixedClock()).register("A", "phone", Platform.IOS, "token-token")

    assert push.endpoints == set()
    assert [item["sk"]["S"] for item in dynamodb.scan(TableName="notifications")["Items"]] == ["ERASED"]


def test_one_device_too_many_leaves_no_endpoint(devices: DynamoDevices) -> None:
    push = FakePush()
    cases = MemberDevices(devices, push, FixedClock())
    for number in range(MAX_DEVICES):
        cases.register("A", f"phone-{number}", Platform.IOS, f"token-{number}")
    with pytest.raises(TooManyDevices):
        cases.register("A", "another", Platform.IOS, "another-token")

    assert push.endpoints == set(endpoints(devices, "A"))


def test_one_too_many_takes_no_device_from_anybody(devices: DynamoDevices) -> None:
    push = FakePush()
    cases = MemberDevices(devices, push, FixedClock())
    cases.register("B", "phone", Platform.IOS, "token-of-b")
    for number in range(MAX_DEVICES):
        cases.register("A", f"phone-{number}", Platform.IOS, f"token-{number}")
    with pytest.raises(TooManyDevices):
        cases.register("A", "another", Platform.IOS, "token-of-b")

    assert len(endpoints(devices, "B")) == 1
    assert push.endpoints == {*endpoints(devices, "A"), *endpoints(devices, "B")}


def test_one_too_many_meanwhile_leaves_no_endpoint(devices: DynamoDevices) -> None:
    class TheTenthMeanwhile(FakePush):
        def register(self, token: str) -> str:
            for number in range(MAX_DEVICES):
                devices.add("A", device(number))
            return super().register(token)

    push = TheTenthMeanwhile()
    with pytest.raises(TooManyDevices):
        MemberDevices(devices, push, FixedClock()).register("A", "another", Platform.IOS, "another-token")

    assert push.endpoints == set()


def test_an_app_installed_anew_needs_no_further_place(devices: DynamoDevices) -> None:
    push = FakePush()
    cases = MemberDevices(devices, push, FixedClock())
    for number in range(MAX_DEVICES):
        cases.register("A", f"phone-{number}", Platform.IOS, f"token-{number}")
    cases.register("A", "anew", Platform.IOS, "token-3")

    assert push.endpoints == set(endpoints(devices, "A"))
    assert len(push.endpoints) == MAX_DEVICES


def test_an_endpoint_that_was_replaced_is_forgotten(devices: DynamoDevices) -> None:
    push = FakePush()
    cases = MemberDevices(devices, push, FixedClock())
    for token in ("token-1", "token-1", "token-2"):
        cases.register("A", "phone", Platform.IOS, token)

    assert len(push.endpoints) == 1
    assert push.endpoints == set(endpoints(devices, "A"))


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_an_endpoint_that_is_anothers_by_now_is_kept(devices: DynamoDevices, how: str) -> None:
    push = FakePush()

    class TakenMeanwhile(DynamoDevices):
        """B registers the device in the moment in which it is nobody's."""

        def remove(self, user_id: str, device_id: str, *, only_at: str | None = None) -> Device | None:
            removed = super().remove(user_id, device_id, only_at=only_at)
            MemberDevices(devices, push, FixedClock()).register("B", "phone", Platform.IOS, "token-1")
            return removed

        def add(self, user_id: str, device: Device) -> Device | None:
            replaced = super().add(user_id, device)
            if replaced is not None:
                MemberDevices(devices, push, FixedClock()).register("B", "phone", Platform.IOS, "token-1")
            return replaced

    cases = MemberDevices(TakenMeanwhile(devices._table), push, FixedClock())
    cases.register("A", "phone", Platform.IOS, "token-1")
    if how == "removed":
        cases.remove("A", "phone")
    else:
        cases.register("A", "phone", Platform.IOS, "token-2")

    assert len(endpoints(devices, "B")) == 1
    assert push.endpoints == {*endpoints(devices, "A"), *endpoints(devices, "B")}


def test_after_an_erasure_nothing_is_stored_any_more(dynamodb: Any, devices: DynamoDevices) -> None:
    post = Post(lambda: dynamodb)
    me = person(ANN)
    push = FakePush()
    cases = replace(
        bootstrap.compose(devices._table),
        preferences=MemberPreferences(DynamoPreferences(devices._table)),
        devices=MemberDevices(devices, push, FixedClock()),
    )
    api = build(lambda: cases)

    def put(path: str, body: object) -> Answer:
        return call(api, api_event("PUT", f"/api/notifications/{path}", body=body, caller=me))

    chosen = f"preferences/{ANN}", {"language": "fr"}
    phone = f"devices/{ANN}/phone", {"platform": "ios", "token": "a-long-token"}
    assert (put(*chosen).status, put(*phone).status) == (200, 200)
    assert (
        replace(post.event_handling, devices=devices).handle_event(event("MemberErased", ANN), "c-1") == "member_erased"
    )
    assert post.push.forgotten == sorted(push.endpoints)
    push.endpoints.clear()

    for refused in (put(*chosen), put(*phone)):
        assert (refused.status, refused.json["code"]) == (404, "user_not_found")

    assert push.endpoints == set()
    # Of the token, too, nothing is left: its key begins with another word than the member's.
    assert [item["sk"]["S"] for item in dynamodb.scan(TableName="notifications")["Items"]] == ["ERASED"]


def test_erasing_takes_every_device_away_there_and_here(dynamodb: Any, devices: DynamoDevices) -> None:
    post = Post(lambda: dynamodb)
    ann = new_id()
    devices.add(ann, device(1))
    devices.add(ann, device(2))
    events = replace(post.event_handling, devices=devices)

    assert events.handle_event(event("MemberErased", ann), "c-1") == "member_erased"

    assert sorted(post.push.forgotten) == ["arn:token-1", "arn:token-2"]
    assert [item["sk"]["S"] for item in dynamodb.scan(TableName="notifications")["Items"]] == ["ERASED"]


# -- SNS ------------------------------------------------------------------------------------------


@pytest.fixture
def sns(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with dynamodb_in_moto(monkeypatch):
        aws._client.cache_clear()
        yield boto3.client("sns")
        aws._client.cache_clear()


def test_a_token_has_one_endpoint_which_is_switched_on_again(sns: Any) -> None:
    application = sns.create_platform_application(Name="library", Platform="GCM", Attributes={})[
        "PlatformApplicationArn"
    ]
    push = SnsPush(application)

    endpoint = push.register("token-1")
    sns.set_endpoint_attributes(EndpointArn=endpoint, Attributes={"Enabled": "false"})

    assert push.register("token-1") == endpoint
    attributes = sns.get_endpoint_attributes(EndpointArn=endpoint)["Attributes"]
    assert (attributes["Enabled"], attributes["Token"]) == ("true", "token-1")
    push.forget(endpoint)
    push.forget(endpoint)
    assert sns.list_endpoints_by_platform_application(PlatformApplicationArn=application)["Endpoints"] == []


def test_without_an_application_there_is_no_push() -> None:
    with pytest.raises(PushNotConfigured):
        SnsPush("").register("token-1")


def test_what_sns_refuses_is_refused_without_repeating_the_token(sns: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = sns.exceptions.InvalidParameterException(
        {"Error": {"Code": "InvalidParameter", "Message": "iOS device tokens must be ... token-1"}},
        "CreatePlatformEndpoint",
    )

    class Refusing:
        exceptions = sns.exceptions

        def create_platform_endpoint(self, **_: Any) -> Any:
            raise refusal

    monkeypatch.setattr(aws, "sns", Refusing)
    with pytest.raises(DeviceRefused) as raised:
        SnsPush("arn:aws:sns:eu-west-1:000000000000:app/APNS/library").register("token-1")
    assert raised.value.__cause__ is None
    assert "token-1" not in str(raised.value)
