"""Members' devices in the notifications table.

Items
-----
`MEMBER#<user id>` / `DEVICE#<device id>`
    `platform`, `endpoint` (the push service's address of it), `token_key` (SHA-256 of its token), `registered_at`.
`MEMBER#<user id>` / `DEVICES`
    `ids`: the ids of the devices, so that ten are ten however simultaneously they come.
`TOKEN#<token key>` / `OWNER`
    `user_id`, `device_id`. A device that somebody else registers is theirs from then on: the former owner's notices are
    shown there no longer.

Adding or removing one is a transaction of these three on what they were when read, and starts anew when they have
changed. Adding one also checks that the member was not erased. So after the tombstone no device is added, and erasure
finds every device.

A device of another owner is first removed there, in a transaction of its own. If the process dies in between, it is
nobody's until its app registers it again, as apps do whenever they start.
"""

from collections.abc import Sequence

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import (
    ABSENT,
    Check,
    ConditionFailed,
    Delete,
    Expression,
    Item,
    Table,
    TransactionBusy,
    Update,
    Write,
)
from notifications_service.adapters.dynamodb import (
    DEVICE,
    changes,
    device_key,
    device_list_key,
    erased_key,
    member,
    token_key,
)
from notifications_service.domain.devices import MAX_DEVICES, Device
from notifications_service.domain.errors import TooManyDevices, UserNotFound

_TRIES = 5
_LIST, _ERASED = 1, 3
"""Places in the transactions below."""


class DynamoDevices:
    """Implements `application.ports.DeviceStore`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def forget(self, user_id: str, endpoint: str) -> bool:
        removed = [
            self.remove(user_id, device.id, only_at=endpoint)
            for device in self.devices(user_id)
            if device.endpoint == endpoint
        ]
        # A token has one endpoint whoever has it: by now it may be another member's.
        return any(device is not None and not self.has_owner(device.token_key) for device in removed)

    def devices(self, user_id: str) -> list[Device]:
        condition = Expression(
            "#pk = :pk AND begins_with(#sk, :device)",
            names={"pk": "pk", "sk": "sk"},
            values={"pk": member(user_id), "device": DEVICE},
        )
        return [_device(item) for item in self._table.query_all(condition, consistent=True)]

    def require_place(self, user_id: str, device_id: str, digest: str) -> None:
        if self._table.get(erased_key(user_id)) is not None:
            raise UserNotFound
        ids = (self._table.get(device_list_key(user_id)) or {}).get("ids", set())
        if len(ids) < MAX_DEVICES or device_id in ids:
            return
        # An app that was installed anew takes the place it had.
        owner = self._table.get(token_key(digest))
        if owner is None or owner["user_id"] != user_id:
            raise TooManyDevices(MAX_DEVICES)

    def has_owner(self, digest: str) -> bool:
        return self._table.get(token_key(digest)) is not None

    def add(self, user_id: str, device: Device) -> Device | None:
        for _ in range(_TRIES):
            owner = self._table.get(token_key(device.token_key))
            if owner is not None and (owner["user_id"], owner["device_id"]) != (user_id, device.id):
                self.remove(owner["user_id"], owner["device_id"])
                owner = self._table.get(token_key(device.token_key))
            before = self._table.get(device_key(user_id, device.id))
            writes: list[Write] = [
                Update(device_key(user_id, device.id), changes(_attributes(device)), _as_read(before)),
                Update(
                    device_list_key(user_id),
                    Expression("ADD #ids :id", names={"ids": "ids"}, values={"id": {device.id}}),
                    Expression(
                        "attribute_not_exists(#ids) OR contains(#ids, :one) OR size(#ids) < :most",
                        names={"ids": "ids"},
                        values={"one": device.id, "most": MAX_DEVICES},
                    ),
                ),
                Update(
                    token_key(device.token_key),
                    changes({"user_id": user_id, "device_id": device.id}),
                    _owned(user_id, device.id),
                ),
                Check(erased_key(user_id), ABSENT),
            ]
            if before is not None and before["token_key"] != device.token_key:
                writes.append(Delete(token_key(before["token_key"]), _owned(user_id, device.id)))
            if self._done(writes, device.id):
                return _device(before) if before is not None and before["token_key"] != device.token_key else None
        raise TransactionBusy("a device is being registered by others")

    def remove(self, user_id: str, device_id: str, *, only_at: str | None = None) -> Device | None:
        """only_at: not if by now it has another endpoint than this one."""
        for _ in range(_TRIES):
            before = self._table.get(device_key(user_id, device_id))
            if before is None or only_at not in (None, before["endpoint"]):
                return None
            writes: list[Write] = [
                Delete(device_key(user_id, device_id), _as_read(before)),
                Update(
                    device_list_key(user_id),
                    Expression("DELETE #ids :id", names={"ids": "ids"}, values={"id": {device_id}}),
                    Expression("attribute_exists(#pk)", names={"pk": "pk"}),
                ),
                Delete(token_key(before["token_key"]), _owned(user_id, device_id)),
            ]
            if self._done(writes, device_id):
                return _device(before)
        raise TransactionBusy("a device is being registered by others")

    def _done(self, writes: Sequence[Write], device_id: str) -> bool:
        try:
            self._table.transact(writes)
        except ConditionFailed as exc:
            ids = (exc.item or {}).get("ids", set())
            if exc.index == _ERASED:
                raise UserNotFound from exc
            if exc.index == _LIST and len(ids) >= MAX_DEVICES and device_id not in ids:
                raise TooManyDevices(MAX_DEVICES) from exc
            return False
        return True


def _as_read(before: Item | None) -> Expression:
    if before is None:
        return ABSENT
    return Expression("#token_key = :token_before", {"token_key": "token_key"}, {"token_before": before["token_key"]})


def _owned(user_id: str, device_id: str) -> Expression:
    """By this device, or by none."""
    return Expression(
        "attribute_not_exists(#pk) OR (#user_id = :owner AND #device_id = :owners_device)",
        names={"pk": "pk", "user_id": "user_id", "device_id": "device_id"},
        values={"owner": user_id, "owners_device": device_id},
    )


def _attributes(device: Device) -> Item:
    return {
        "platform": str(device.platform),
        "endpoint": device.endpoint,
        "token_key": device.token_key,
        "registered_at": to_rfc3339(device.registered_at),
    }


def _device(item: Item) -> Device:
    return Device(
        id=item["sk"].removeprefix(DEVICE),
        platform=item["platform"],
        endpoint=item["endpoint"],
        token_key=item["token_key"],
        registered_at=from_rfc3339(item["registered_at"]),
    )
