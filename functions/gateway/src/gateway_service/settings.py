"""Environment of the gateway's functions."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class GatewaySettings(BaseSettings):
    """Of the authorizer. service_keys_path: it holds one parameter for each service that calls others."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    table_name: str
    verification_keys_parameter: str
    service_keys_path: str


class RotationSettings(GatewaySettings):
    """Of the rotation. key_days: how many days a key signs before the daily run rotates it."""

    signing_key_parameter: str
    key_days: int
