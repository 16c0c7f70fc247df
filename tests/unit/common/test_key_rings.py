"""Rings of keys: what they hold, how they turn, and how secrets and the JWKS document spell them."""

import json
from datetime import timedelta

import pytest

from library_common.key_rings import (
    Ring,
    public_jwks_json,
    secret_ring,
    secret_ring_json,
    signing_ring,
    signing_ring_json,
)
from library_common.tokens import SigningKey
from tests.support.clock import NOON

pytestmark = pytest.mark.unit


def test_a_turn_moves_every_key_by_one_place() -> None:
    ring = Ring("one", next="two", rotated_at=NOON)

    turned = ring.rotated("three", NOON + timedelta(days=30))
    again = turned.rotated("four", NOON + timedelta(days=60))

    assert turned == Ring("two", next="three", previous="one", rotated_at=NOON + timedelta(days=30))
    assert again == Ring("three", next="four", previous="two", rotated_at=NOON + timedelta(days=60))
    assert (ring.keys, turned.keys, again.keys) == (
        ("one", "two"),
        ("two", "three", "one"),
        ("three", "four", "two"),
    )


def test_what_signs_after_a_turn_was_known_before_it_and_what_signed_is_known_after_it() -> None:
    ring = Ring("one", next="two", rotated_at=NOON)
    for number in range(5):
        turned = ring.rotated(f"new {number}", NOON)
        assert turned.current in ring.keys
        assert ring.current in turned.keys
        ring = turned


def test_a_ring_without_a_next_key_does_not_turn() -> None:
    with pytest.raises(ValueError, match="next"):
        Ring("one").rotated("two", NOON)


def test_a_services_secrets_are_read_as_they_were_written() -> None:
    for ring in (
        Ring("one"),
        Ring("one", next="two", rotated_at=NOON),
        Ring("two", next="three", previous="one", rotated_at=NOON),
    ):
        assert secret_ring(secret_ring_json(ring)) == ring


def test_the_first_value_of_a_secret_is_a_ring_of_one() -> None:
    assert secret_ring('{"current": "made by CloudFormation"}') == Ring("made by CloudFormation")


@pytest.mark.parametrize("text", ["{}", '{"current": ""}', '{"current": null}', '{"keys": []}', '{"next": null}'])
def test_a_secret_without_a_current_key_holds_no_ring(text: str) -> None:
    assert secret_ring(text) is None
    assert signing_ring(text) is None


def test_signing_keys_are_read_as_they_were_written_and_the_current_one_signs() -> None:
    keys = [SigningKey.generate() for _ in range(3)]
    text = signing_ring_json(Ring(keys[0], next=keys[1], previous=keys[2], rotated_at=NOON))

    ring = signing_ring(text)

    assert ring is not None
    assert [key.private_jwk() for key in ring.keys] == [key.private_jwk() for key in keys]
    assert ring.rotated_at == NOON
    assert SigningKey.from_json(text).kid == keys[0].kid


def test_without_a_key_there_is_nothing_to_sign_with() -> None:
    with pytest.raises(KeyError):
        SigningKey.from_json("{}")


def test_only_public_parts_are_published() -> None:
    keys = [SigningKey.generate() for _ in range(3)]

    document = json.loads(public_jwks_json(keys))

    assert [key["kid"] for key in document["keys"]] == [key.kid for key in keys]
    assert all(key.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"} for key in document["keys"])
    assert len(public_jwks_json([*keys, *keys])) < 4096, "as much as a parameter holds, with two rings at once"
