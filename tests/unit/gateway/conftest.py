"""A keyring with the keys of a small library, and the authorizer's log."""

from collections.abc import Iterator

import pytest

from gateway_service.keyring import Keyring
from tests.support.operator_log import OperatorLog, reading_the_log
from tests.unit.gateway.sources import Revoked, Sources


@pytest.fixture
def sources() -> Sources:
    return Sources()


@pytest.fixture
def keyring(sources: Sources) -> Keyring:
    return sources.keyring()


@pytest.fixture
def revoked() -> Revoked:
    """Nobody yet."""
    return Revoked()


@pytest.fixture
def log() -> Iterator[OperatorLog]:
    with reading_the_log() as log:
        yield log
