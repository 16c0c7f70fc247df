"""Environment of the gateway's functions."""

from pydantic import BaseModel, ConfigDict, Json
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceIdentity(BaseModel):
    """A service that may call others: where its secret is and which scopes its tokens may claim."""

    model_config = ConfigDict(frozen=True)

    secret_arn: str
    scopes: str


class GatewaySettings(BaseSettings):
    """Of the authorizer. `SERVICE_IDENTITIES` is a JSON object: service name -> ServiceIdentity."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    table_name: str
    verification_keys_parameter: str
    service_identities: Json[dict[str, ServiceIdentity]]


class RotationSettings(GatewaySettings):
    """Of the rotation. `KEY_DAYS`: how many days a key signs before the daily run rotates it."""

    signing_key_secret_arn: str
    key_days: int
