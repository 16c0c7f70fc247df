"""Parameters and keys in the parameter store, in moto: one by one, and all under a path."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from library_common import aws
from library_common.configuration import parameter, parameters_under, secret, secrets_under
from tests.support.tables import dynamodb_in_moto

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

pytestmark = pytest.mark.adapter


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator["SSMClient"]:
    with dynamodb_in_moto(monkeypatch):
        aws._client.cache_clear()
        yield boto3.client("ssm")
    aws._client.cache_clear()


def put(ssm: "SSMClient", name: str, value: str, *, secure: bool = False) -> None:
    ssm.put_parameter(Name=name, Value=value, Type="SecureString" if secure else "String", Overwrite=True)


def test_a_parameter_and_a_secret_are_read_by_name(ssm: "SSMClient") -> None:
    put(ssm, "/library/url", "https://library.test")
    put(ssm, "/library/keys/token-signing", "hunter2", secure=True)

    assert parameter("/library/url").get() == "https://library.test"
    assert secret("/library/keys/token-signing").get() == "hunter2"


def test_secrets_under_a_path_are_those_directly_under_it(ssm: "SSMClient") -> None:
    for name, value in {
        "/library/keys/services/loans": "of loans",
        "/library/keys/services/users": "of users",
        "/library/keys/services/users/old": "deeper",
        "/library/keys/services-of-others/books": "beside it",
        "/library/keys/token-signing": "above it",
        "/another-library/keys/services/books": "elsewhere",
    }.items():
        put(ssm, name, value, secure=True)

    assert secrets_under("/library/keys/services", seconds=60).get() == {"loans": "of loans", "users": "of users"}


@pytest.fixture
def decryptions(ssm: "SSMClient") -> list[str]:
    """The calls that had something decrypted."""
    noted: list[str] = []

    def note(params: dict[str, Any], model: Any, **_: object) -> None:
        if params.get("WithDecryption"):
            noted.append(model.name)

    for call in ("GetParameter", "GetParametersByPath"):
        aws.ssm().meta.events.register(f"provide-client-params.ssm.{call}", note)
    return noted


def test_a_secret_is_decrypted_again_only_when_it_has_changed(ssm: "SSMClient", decryptions: list[str]) -> None:
    put(ssm, "/library/keys/token-signing", "old", secure=True)
    signing_key = secret("/library/keys/token-signing", seconds=0)
    assert [signing_key.get() for _ in range(3)] == ["old"] * 3
    assert decryptions == ["GetParameter"]

    put(ssm, "/library/keys/token-signing", "new", secure=True)
    assert [signing_key.get() for _ in range(3)] == ["new"] * 3
    assert decryptions == ["GetParameter"] * 2


def test_secrets_under_a_path_are_decrypted_again_only_when_one_has_changed_came_or_went(
    ssm: "SSMClient", decryptions: list[str]
) -> None:
    put(ssm, "/library/keys/services/loans", "of loans", secure=True)
    keys = secrets_under("/library/keys/services", seconds=0)
    assert [keys.get() for _ in range(3)] == [{"loans": "of loans"}] * 3
    assert len(decryptions) == 1

    put(ssm, "/library/keys/services/users", "of users", secure=True)
    assert keys.get() == {"loans": "of loans", "users": "of users"}
    ssm.delete_parameter(Name="/library/keys/services/loans")
    assert [keys.get() for _ in range(3)] == [{"users": "of users"}] * 3
    assert len(decryptions) == 3


def test_under_a_path_without_parameters_there_are_none(ssm: "SSMClient") -> None:
    assert secrets_under("/library/keys/services", seconds=60).get() == {}
    assert list(parameters_under("/library/dead-letters")) == []


def test_parameters_under_a_path_are_read_page_by_page(ssm: "SSMClient") -> None:
    """The store answers ten at a time."""
    wanted = {f"service-{number:02}": f"value {number}" for number in range(25)}
    for name, value in wanted.items():
        put(ssm, f"/library/dead-letters/{name}", value)

    assert dict(parameters_under("/library/dead-letters")) == wanted


def test_secrets_are_cached_until_fresh_ones_are_asked_for(ssm: "SSMClient") -> None:
    put(ssm, "/library/keys/services/loans", "one", secure=True)
    secrets = secrets_under("/library/keys/services", seconds=60)
    assert secrets.get() == {"loans": "one"}

    put(ssm, "/library/keys/services/users", "two", secure=True)

    assert secrets.get() == {"loans": "one"}
    assert secrets.get_fresh(pause=10) == {"loans": "one", "users": "two"}


def test_what_is_encrypted_is_not_decrypted_for_whoever_only_wants_names(ssm: "SSMClient") -> None:
    put(ssm, "/library/keys/services/loans", "hunter2", secure=True)

    ((name, value),) = parameters_under("/library/keys/services")

    assert name == "loans"
    assert value != "hunter2"
