"""Parameters and keys: fetched when first needed, then cached."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from library_common import aws
from library_common.settings import WaitLimits
from library_common.ttl_cache import TtlCache

if TYPE_CHECKING:
    from mypy_boto3_ssm.type_defs import ParameterTypeDef

PARAMETER_SECONDS = 60.0
SECRET_SECONDS = 300.0
_GRACE_SECONDS = 3600.0


def cache_seconds(seconds: float) -> float:
    """How long to cache something: `seconds`, or less where the environment says so (`WaitLimits`)."""
    return min(seconds, WaitLimits().max_cache_seconds)


def parameter(name: str, *, seconds: float = PARAMETER_SECONDS) -> TtlCache[str]:
    """An SSM parameter's value, at most `seconds` old while SSM answers."""
    return _cached(lambda: aws.ssm().get_parameter(Name=name)["Parameter"]["Value"], seconds)


def secret(name: str, *, seconds: float = SECRET_SECONDS) -> TtlCache[str]:
    """A SecureString parameter's value, at most `seconds` old while SSM answers."""
    fetch = _decrypted_when_changed(
        lambda decrypted: {name: aws.ssm().get_parameter(Name=name, WithDecryption=decrypted)["Parameter"]}
    )
    return _cached(lambda: fetch()[name], seconds)


def secrets_under(path: str, *, seconds: float) -> TtlCache[Mapping[str, str]]:
    """The SecureString parameters directly under a path: last part of the name -> value."""
    return _cached(_decrypted_when_changed(lambda decrypted: dict(_under(path, decrypted=decrypted))), seconds)


def parameters_under(path: str) -> Iterator[tuple[str, str]]:
    """Last part of the name, and value, of every parameter directly under a path, as they are now."""
    for name, found in _under(path, decrypted=False):
        yield name, found["Value"]


def _cached[T](fetch: Callable[[], T], seconds: float) -> TtlCache[T]:
    return TtlCache(fetch, seconds=cache_seconds(seconds), grace=_GRACE_SECONDS)


def _under(path: str, *, decrypted: bool) -> "Iterator[tuple[str, ParameterTypeDef]]":
    pages = aws.ssm().get_paginator("get_parameters_by_path").paginate(Path=path, WithDecryption=decrypted)
    for page in pages:
        for found in page["Parameters"]:
            yield found["Name"].rpartition("/")[2], found


def _decrypted_when_changed(read: "Callable[[bool], dict[str, ParameterTypeDef]]") -> Callable[[], Mapping[str, str]]:
    """Reads values by name. They are decrypted the first time, and later only when one of them has changed: KMS charges
    for each decryption, and nothing for a look at the versions. read: takes whether to decrypt.
    """
    versions: dict[str, tuple[object, ...]] = {}
    values: dict[str, str] = {}

    def fetch() -> Mapping[str, str]:
        nonlocal versions, values
        if not versions or _versions(read(False)) != versions:
            found = read(True)
            versions, values = _versions(found), {name: each["Value"] for name, each in found.items()}
        return values

    return fetch


def _versions(found: "Mapping[str, ParameterTypeDef]") -> dict[str, tuple[object, ...]]:
    """With the date: a parameter that was deleted and made anew begins at version 1 again."""
    return {name: (each["Version"], each["LastModifiedDate"]) for name, each in found.items()}
