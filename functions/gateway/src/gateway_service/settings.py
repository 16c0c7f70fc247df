"""Environment of the gateway's functions."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class GatewaySettings(BaseSettings):
    """Of the authorizer. service_keys_path: under it lies a parameter for every service that calls others."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    table_name: str
    verification_keys_parameter: str
    service_keys_path: str


class RotationSettings(GatewaySettings):
    """Of the rotation. `KEY_DAYS`: how many days a key signs before the daily run rotates it."""

    signing_key_parameter: str
    key_days: int
