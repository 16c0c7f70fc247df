"""Rings in Secrets Manager, keys in the parameter store, turns in the table: all in moto."""

import json
from datetime import timedelta

import boto3
import pytest

from gateway_service.key_stores import TURN, PublishedKeys, SecretStore, TableTurns
from gateway_service.rotating import TurnTaken
from library_common import aws
from library_common.dynamodb import Table
from library_common.key_rings import Ring, secret_ring, secret_ring_json
from library_common.tokens import SigningKey
from localstack.embedded import template
from localstack.embedded.layout import TEMPLATE
from tests.support.clock import NOON, FixedClock

pytestmark = [pytest.mark.adapter, pytest.mark.usefixtures("dynamodb")]

NAME = "/library/token-verification-keys"


# -- the secret -----------------------------------------------------------------------------------


def test_a_ring_is_read_back_from_its_secret() -> None:
    arn = boto3.client("secretsmanager").create_secret(Name="s", SecretString="{}")["ARN"]
    store = SecretStore(arn, decode=secret_ring, encode=secret_ring_json)
    assert store.read() is None

    ring = Ring("one", next="two", previous="zero", rotated_at=NOON)
    store.write(ring)

    assert store.read() == ring


# -- the published keys ---------------------------------------------------------------------------


def version() -> int:
    return aws.ssm().get_parameter(Name=NAME)["Parameter"]["Version"]


def test_keys_are_published_where_nothing_was_and_replaced_where_something_was() -> None:
    one, two = SigningKey.generate(), SigningKey.generate()
    published = PublishedKeys(NAME)

    published.publish([one])
    published.publish([one, two])

    document = json.loads(aws.ssm().get_parameter(Name=NAME)["Parameter"]["Value"])
    assert document == {"keys": [one.public_jwk(), two.public_jwk()]}


def test_what_is_published_already_is_not_written_again() -> None:
    one = SigningKey.generate()
    for _ in range(3):
        PublishedKeys(NAME).publish([one])

    assert version() == 1


# -- turns ----------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def turns(table: Table, clock: FixedClock) -> TableTurns:
    return TableTurns(table, clock, sleep=clock.sleep)


def test_one_at_a_time_per_ring(turns: TableTurns) -> None:
    with turns.take("signing-key"):
        with pytest.raises(TurnTaken), turns.take("signing-key"):
            pytest.fail("two at once")
        with turns.take("service:loans"):
            pass
    with turns.take("signing-key"):
        pass


def test_whoever_finds_a_turn_taken_waits_ten_seconds(turns: TableTurns, clock: FixedClock) -> None:
    with turns.take("signing-key"):
        begun = clock.now()
        with pytest.raises(TurnTaken), turns.take("signing-key"):
            pytest.fail("two at once")

    assert timedelta(seconds=9) < clock.now() - begun < timedelta(seconds=11)


def test_a_turn_that_is_given_back_meanwhile_is_taken(table: Table, clock: FixedClock) -> None:
    first = TableTurns(table, clock).take("signing-key")
    first.__enter__()

    def wait(seconds: float) -> None:
        clock.sleep(seconds)
        first.__exit__(None, None, None)

    with TableTurns(table, clock, sleep=wait).take("signing-key"):
        assert table.get({"pk": "ROTATION", "sk": "signing-key"}) is not None


def test_a_turn_is_given_back_after_a_failure(turns: TableTurns) -> None:
    with pytest.raises(ZeroDivisionError), turns.take("signing-key"):
        raise ZeroDivisionError
    with turns.take("signing-key"):
        pass


def test_the_turn_of_a_process_that_died_ends_by_itself(table: Table, clock: FixedClock, turns: TableTurns) -> None:
    dead = TableTurns(table, clock).take("signing-key")
    dead.__enter__()
    clock.advance(TURN)

    with turns.take("signing-key"):
        # Not dead after all: what it gives back is no longer its own.
        dead.__exit__(None, None, None)
        assert table.get({"pk": "ROTATION", "sk": "signing-key"}) is not None


def test_a_turn_outlasts_the_function() -> None:
    rotation = template.resources_of(template.load(TEMPLATE), template.FUNCTION)["RotationFunction"]

    assert TURN.total_seconds() > rotation["Timeout"]
