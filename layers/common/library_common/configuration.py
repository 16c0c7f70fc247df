"""Secrets and parameters: fetched when first needed, then cached."""

from library_common import aws
from library_common.ttl_cache import TtlCache

PARAMETER_SECONDS = 60.0
SECRET_SECONDS = 300.0
_GRACE_SECONDS = 3600.0


def parameter(name: str, *, seconds: float = PARAMETER_SECONDS) -> TtlCache[str]:
    """An SSM parameter's value, at most `seconds` old while SSM answers."""

    def fetch() -> str:
        return aws.ssm().get_parameter(Name=name)["Parameter"]["Value"]

    return TtlCache(fetch, seconds=seconds, grace=_GRACE_SECONDS)


def secret(arn: str, *, seconds: float = SECRET_SECONDS) -> TtlCache[str]:
    """A secret's current string, at most `seconds` old while Secrets Manager answers."""

    def fetch() -> str:
        return aws.secretsmanager().get_secret_value(SecretId=arn)["SecretString"]

    return TtlCache(fetch, seconds=seconds, grace=_GRACE_SECONDS)
