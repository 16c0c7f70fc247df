"""Devices that show push messages: a member says which, and the push service gets their token."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from library_common.clock import Clock
from notifications_service.domain.errors import TooManyDevices, UserNotFound

MAX_DEVICES = 10


class Platform(StrEnum):
    """What a device runs."""

    IOS = "ios"
    ANDROID = "android"


@dataclass(frozen=True)
class Device:
    """token_key: a digest, by which one device is recognised whoever registers it. The token itself is not kept."""

    id: str
    platform: Platform
    endpoint: str
    token_key: str
    registered_at: datetime


class DeviceStore(Protocol):
    """Which devices members have. A device belongs to the member who registered it last, and to nobody else."""

    def devices(self, user_id: str) -> list[Device]: ...

    def require_place(self, user_id: str, device_id: str, token_key: str) -> None:
        """Before anything is done for a device that cannot be added as things stand.

        Raises TooManyDevices; UserNotFound for a member who was erased.
        """
        ...

    def has_owner(self, token_key: str) -> bool:
        """Whether the device with this token is anybody's now. Strongly consistent."""
        ...

    def add(self, user_id: str, device: Device) -> Device | None:
        """Also in place of the one with this id: answers that one, if it had another token.

        Takes the device from whoever had it. Idempotent.
        Raises TooManyDevices; UserNotFound for a member who was erased.
        """
        ...

    def remove(self, user_id: str, device_id: str) -> Device | None:
        """What was removed; None when there was none. Idempotent."""
        ...


class PushService(Protocol):
    """What brings messages to devices."""

    def register(self, token: str) -> str:
        """The address (endpoint) of the device with this token; the same token gives the same one.

        Raises PushNotConfigured, DeviceRefused.
        """
        ...

    def forget(self, endpoint: str) -> None:
        """Idempotent."""
        ...


@dataclass(frozen=True)
class MemberDevices:
    """The use cases. The token passes through: it is neither stored nor logged nor answered."""

    store: DeviceStore
    push: PushService
    clock: Clock

    def register(self, user_id: str, device_id: str, platform: Platform, token: str) -> Device:
        """Raises PushNotConfigured, DeviceRefused, TooManyDevices, UserNotFound.

        A repeat changes nothing but the moment.
        If the process dies after the push service knows the device, nobody sends to it until the app asks again; if
        it dies before an endpoint that was replaced is forgotten, that one stays there, and nobody sends to it.
        """
        token_key = hashlib.sha256(token.encode()).hexdigest()
        # Before the push service is asked, and before anybody loses the device.
        self.store.require_place(user_id, device_id, token_key)
        endpoint = self.push.register(token)
        device = Device(device_id, platform, endpoint, token_key, self.clock.now())
        try:
            replaced = self.store.add(user_id, device)
        except (TooManyDevices, UserNotFound):
            self._forget_if_nobodys(device)
            raise
        if replaced is not None and replaced.endpoint != endpoint:
            self._forget_if_nobodys(replaced)
        return device

    def of(self, user_id: str) -> list[Device]:
        return self.store.devices(user_id)

    def remove(self, user_id: str, device_id: str) -> None:
        """From now on nothing is sent to it. Removing one that is not there is no error."""
        removed = self.store.remove(user_id, device_id)
        if removed is not None:
            self._forget_if_nobodys(removed)

    def _forget_if_nobodys(self, device: Device) -> None:
        """Nobody would clean up there later. A token has one endpoint whoever has it: by now it may be another's."""
        if not self.store.has_owner(device.token_key):
            self.push.forget(device.endpoint)
