"""Devices that show push messages."""

from typing import Annotated, Self

from pydantic import BaseModel, Field

from library_common.clock import to_rfc3339
from library_common.http import RequestBody
from notifications_service.domain.devices import Device, Platform


class DeviceBody(RequestBody):
    """A device that shows push messages. The token is passed to the push service and not kept."""

    platform: Platform
    token: Annotated[str, Field(min_length=8, max_length=2048, pattern=r"^[\x21-\x7e]+$")]


class DeviceView(BaseModel):
    """A registered device. platform: a known one, or one that a newer version of this service stored."""

    id: str
    platform: Annotated[Platform | str, Field(union_mode="left_to_right")]
    registered_at: str

    @classmethod
    def of(cls, device: Device) -> Self:
        return cls(id=device.id, platform=device.platform, registered_at=to_rfc3339(device.registered_at))
