"""Environment of the authorizer."""

from pydantic import BaseModel, ConfigDict, Json
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceIdentity(BaseModel):
    """A service that may call others: where its secret is and which scopes its tokens may claim."""

    model_config = ConfigDict(frozen=True)

    secret_arn: str
    scopes: str


class GatewaySettings(BaseSettings):
    """`SERVICE_IDENTITIES` is a JSON object: service name -> ServiceIdentity."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    verification_keys_parameter: str
    service_identities: Json[dict[str, ServiceIdentity]]
