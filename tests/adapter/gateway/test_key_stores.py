"""Rings and published keys in the parameter store, locks in the table: all in moto."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gateway_service.key_rotation import LockHeld
from gateway_service.key_stores import LOCK_DURATION, RingParameter, ServiceKeys, TableLocks, publish_keys
from library_common import aws
from library_common.dynamodb import Table
from library_common.key_rings import Ring, granted_scopes, signing_ring, signing_ring_json
from library_common.tokens import SigningKey
from localstack.embedded import template
from localstack.embedded.layout import ROOT
from tests.support.clock import NOON, FixedClock

if TYPE_CHECKING:
    from mypy_boto3_ssm.type_defs import ParameterTypeDef

pytestmark = [pytest.mark.adapter, pytest.mark.usefixtures("dynamodb")]

NAME = "/library/token-verification-keys"


# -- rings ----------------------------------------------------------------------------------------


def test_a_ring_is_read_back_as_it_was_written() -> None:
    store = RingParameter("/library/keys/token-signing", decode=signing_ring, encode=signing_ring_json)
    assert store.read() is None

    for ring in (
        Ring(SigningKey.generate(), next=SigningKey.generate(), rotated_at=NOON),
        Ring(SigningKey.generate(), next=SigningKey.generate(), previous=SigningKey.generate(), rotated_at=NOON),
    ):
        store.write(ring)

        read = store.read()
        assert read is not None
        assert [key.private_jwk() for key in read.keys] == [key.private_jwk() for key in ring.keys]
        assert read.rotated_at == NOON

    assert parameter("/library/keys/token-signing")["Type"] == "SecureString"


# -- services' rings ------------------------------------------------------------------------------

PATH = "/library/keys/services"
LOANS = f"{PATH}/loans"
RING = Ring("one", next="two", previous="zero", rotated_at=NOON)


def parameter(name: str) -> "ParameterTypeDef":
    return aws.ssm().get_parameter(Name=name, WithDecryption=True)["Parameter"]


def write(name: str, value: str) -> None:
    aws.ssm().put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


@pytest.fixture
def keys() -> ServiceKeys:
    return ServiceKeys(PATH)


def test_a_service_is_registered_before_it_has_a_ring(keys: ServiceKeys) -> None:
    assert keys.names() == []

    keys.register("loans", "users:read inventory:write")

    assert keys.names() == ["loans"]
    assert keys.store("loans").read() is None
    assert parameter(LOANS)["Type"] == "SecureString"
    assert granted_scopes(parameter(LOANS)["Value"]) == {"users:read", "inventory:write"}


def test_registering_again_changes_the_scopes_and_keeps_the_ring(keys: ServiceKeys) -> None:
    keys.register("loans", "users:read inventory:write")
    keys.store("loans").write(RING)

    keys.register("loans", "users:read")

    assert keys.store("loans").read() == RING
    assert granted_scopes(parameter(LOANS)["Value"]) == {"users:read"}


def test_writing_a_ring_keeps_the_scopes(keys: ServiceKeys) -> None:
    keys.register("loans", "users:read inventory:write")
    store = keys.store("loans")

    store.write(Ring("one", next="two", rotated_at=NOON))
    store.write(RING)

    assert keys.store("loans").read() == RING
    assert granted_scopes(parameter(LOANS)["Value"]) == {"users:read", "inventory:write"}


@pytest.mark.parametrize("stored", ["hunter2", "[]", "null", json.dumps({"current": "one"})])
def test_a_ring_written_over_something_unreadable_has_the_scopes_of_the_last_readable_version(
    keys: ServiceKeys, stored: str
) -> None:
    keys.register("loans", "users:write")
    keys.register("loans", "users:read")
    for text in (stored, "{"):
        write(LOANS, text)

    keys.store("loans").write(RING)

    assert keys.store("loans").read() == RING
    assert granted_scopes(parameter(LOANS)["Value"]) == {"users:read"}


def test_registering_replaces_something_unreadable(keys: ServiceKeys) -> None:
    write(LOANS, "hunter2")

    keys.register("loans", "users:read")

    assert keys.store("loans").read() is None
    assert granted_scopes(parameter(LOANS)["Value"]) == {"users:read"}


def test_a_service_that_was_removed_has_neither_ring_nor_name(keys: ServiceKeys) -> None:
    for service in ("loans", "users"):
        keys.register(service, "users:read")
        keys.store(service).write(RING)

    keys.remove("loans")
    keys.remove("loans")

    assert keys.names() == ["users"]
    assert keys.store("loans").read() is None


def test_no_ring_is_written_for_a_service_that_is_not_registered(keys: ServiceKeys) -> None:
    """A daily run that began before the service was removed must not bring its key back."""
    keys.register("loans", "users:read")
    store = keys.store("loans")
    keys.remove("loans")

    with pytest.raises(LookupError, match="no scopes"):
        store.write(RING)
    assert keys.names() == []


def test_more_services_than_one_answer_holds_are_all_named(keys: ServiceKeys) -> None:
    services = sorted(f"service-{number}" for number in range(25))
    for service in services:
        keys.register(service, "users:read")

    assert keys.names() == services


# -- the published keys ---------------------------------------------------------------------------


def version() -> int:
    return parameter(NAME)["Version"]


def test_keys_are_published_where_nothing_was_and_replaced_where_something_was() -> None:
    one, two = SigningKey.generate(), SigningKey.generate()

    publish_keys(NAME, [one])
    publish_keys(NAME, [one, two])

    document = json.loads(aws.ssm().get_parameter(Name=NAME)["Parameter"]["Value"])
    assert document == {"keys": [one.public_jwk(), two.public_jwk()]}


def test_what_is_published_already_is_not_written_again() -> None:
    one = SigningKey.generate()
    for _ in range(3):
        publish_keys(NAME, [one])

    assert version() == 1


# -- locks ----------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def locks(table: Table, clock: FixedClock) -> TableLocks:
    return TableLocks(table, clock, sleep=clock.sleep)


def test_one_at_a_time_per_ring(locks: TableLocks) -> None:
    with locks.hold("signing-key"):
        with pytest.raises(LockHeld), locks.hold("signing-key"):
            pytest.fail("two at once")
        with locks.hold("service:loans"):
            pass
    with locks.hold("signing-key"):
        pass


def test_a_held_lock_is_waited_for_ten_seconds(locks: TableLocks, clock: FixedClock) -> None:
    with locks.hold("signing-key"):
        begun = clock.now()
        with pytest.raises(LockHeld), locks.hold("signing-key"):
            pytest.fail("two at once")

    assert timedelta(seconds=9) < clock.now() - begun < timedelta(seconds=11)


def test_a_lock_that_is_released_meanwhile_is_taken_over(table: Table, clock: FixedClock) -> None:
    first = TableLocks(table, clock).hold("signing-key")
    first.__enter__()

    def wait(seconds: float) -> None:
        clock.sleep(seconds)
        first.__exit__(None, None, None)

    with TableLocks(table, clock, sleep=wait).hold("signing-key"):
        assert table.get({"pk": "ROTATION", "sk": "signing-key"}) is not None


def test_a_lock_is_released_after_a_failure(locks: TableLocks) -> None:
    with pytest.raises(ZeroDivisionError), locks.hold("signing-key"):
        raise ZeroDivisionError
    with locks.hold("signing-key"):
        pass


def test_the_lock_of_a_process_that_died_expires(table: Table, clock: FixedClock, locks: TableLocks) -> None:
    dead = TableLocks(table, clock).hold("signing-key")
    dead.__enter__()
    clock.advance(LOCK_DURATION)

    with locks.hold("signing-key"):
        # Not dead after all: the lock is no longer its own to release.
        dead.__exit__(None, None, None)
        assert table.get({"pk": "ROTATION", "sk": "signing-key"}) is not None


def test_a_lock_outlasts_the_function() -> None:
    platform = template.load(ROOT / "functions" / "gateway" / "platform.yaml")
    rotation = template.resources_of(platform, template.FUNCTION)["RotationFunction"]

    assert LOCK_DURATION.total_seconds() > rotation["Timeout"]
