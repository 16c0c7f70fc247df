"""Parameters and keys: fetched when first needed, then cached."""

from collections.abc import Iterator, Mapping

from library_common import aws
from library_common.settings import WaitLimits
from library_common.ttl_cache import TtlCache

PARAMETER_SECONDS = 60.0
SECRET_SECONDS = 300.0
_GRACE_SECONDS = 3600.0


def cache_seconds(seconds: float) -> float:
    """How long to cache something: `seconds`, or less where the environment says so (`WaitLimits`)."""
    return min(seconds, WaitLimits().max_cache_seconds)


def parameter(name: str, *, seconds: float = PARAMETER_SECONDS) -> TtlCache[str]:
    """An SSM parameter's value, at most `seconds` old while SSM answers."""

    def fetch() -> str:
        return aws.ssm().get_parameter(Name=name)["Parameter"]["Value"]

    return TtlCache(fetch, seconds=cache_seconds(seconds), grace=_GRACE_SECONDS)


def secret(name: str, *, seconds: float = SECRET_SECONDS) -> TtlCache[str]:
    """A SecureString parameter's value, at most `seconds` old while SSM answers."""

    def fetch() -> str:
        return aws.ssm().get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]

    return TtlCache(fetch, seconds=cache_seconds(seconds), grace=_GRACE_SECONDS)


def secrets_under(path: str, *, seconds: float) -> TtlCache[Mapping[str, str]]:
    """The SecureString parameters directly under a path: last part of the name -> value."""

    def fetch() -> Mapping[str, str]:
        return dict(parameters_under(path, decrypted=True))

    return TtlCache(fetch, seconds=cache_seconds(seconds), grace=_GRACE_SECONDS)


def parameters_under(path: str, *, decrypted: bool = False) -> Iterator[tuple[str, str]]:
    """Last part of the name, and value, of every parameter directly under a path, as they are now."""
    pages = aws.ssm().get_paginator("get_parameters_by_path").paginate(Path=path, WithDecryption=decrypted)
    for page in pages:
        for found in page["Parameters"]:
            yield found["Name"].rpartition("/")[2], found["Value"]
