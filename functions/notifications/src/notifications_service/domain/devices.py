"""Devices that show push messages."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MAX_DEVICES = 10


class Platform(StrEnum):
    """What a device runs."""

    IOS = "ios"
    ANDROID = "android"


@dataclass(frozen=True)
class Device:
    """platform: a `Platform`, or one that a newer version of this service stored.

    token_key: a digest that identifies the device, whoever registers it. The token itself is not kept.
    """

    id: str
    platform: str
    endpoint: str
    token_key: str
    registered_at: datetime
