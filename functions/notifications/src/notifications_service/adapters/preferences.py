"""Members' preferences in the notifications table.

`MEMBER#<user id>` / `PREFERENCES`
    `version`, `channels` {kind: [channel]} (only what differs from the default), `quiet` {start, end}, `digest`
    {rhythm, at, weekday}, `language`, `time_zone`. About 300 bytes; absent for who never said anything. Read with one
    GetItem, replaced on the version before, in one transaction with a check of `ERASED`. It lives as long as the
    member: erasing somebody removes everything under `MEMBER#<user id>`, and nothing comes back after that.
"""

from datetime import time
from typing import Any

from library_common.dynamodb import ABSENT, Check, ConditionFailed, Expression, Item, Put, Table
from notifications_service.adapters.items import erased_key
from notifications_service.application.wishes import PreferencesChanged
from notifications_service.domain.errors import UserNotFound
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.preferences import Digest, DigestRhythm, Preferences, QuietHours

_SORT_KEY = "PREFERENCES"


class DynamoPreferences:
    """Implements `application.wishes.PreferencesStore` and `application.ports.StoredPreferences`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def of(self, user_id: str) -> Preferences:
        item = self._table.get(_key(user_id))
        return _preferences(item) if item is not None else Preferences()

    def put(self, user_id: str, preferences: Preferences) -> None:
        before = preferences.version - 1
        unchanged = Expression("#v = :v", names={"v": "version"}, values={"v": before}) if before else ABSENT
        try:
            self._table.transact(
                [Check(erased_key(user_id), ABSENT), Put({**_key(user_id), **_item(preferences)}, unchanged)]
            )
        except ConditionFailed as exc:
            if exc.index == 0:
                raise UserNotFound from exc
            if exc.item is not None and _preferences(exc.item) == preferences:
                return  # our own write, sent again by the SDK
            raise PreferencesChanged from exc


def _key(user_id: str) -> dict[str, str]:
    return {"pk": f"MEMBER#{user_id}", "sk": _SORT_KEY}


def _item(preferences: Preferences) -> dict[str, Any]:
    quiet, digest = preferences.quiet_hours, preferences.digest
    return {
        "version": preferences.version,
        "channels": {kind.value: [c.value for c in chosen] for kind, chosen in preferences.channels.items()},
        "quiet": {"start": _written(quiet.start), "end": _written(quiet.end)} if quiet is not None else None,
        "digest": {"rhythm": digest.rhythm.value, "at": _written(digest.at), "weekday": digest.weekday},
        "language": preferences.language,
        "time_zone": preferences.time_zone,
    }


def _preferences(item: Item) -> Preferences:
    # What a newer version of this code wrote may name kinds or channels that this one does not know.
    kinds, channels = set(Kind), set(Channel)
    chosen = {
        Kind(kind): tuple(Channel(channel) for channel in listed if channel in channels)
        for kind, listed in item["channels"].items()
        if kind in kinds
    }
    quiet, digest = item.get("quiet"), item["digest"]
    return Preferences(
        channels=chosen,
        quiet_hours=QuietHours(time.fromisoformat(quiet["start"]), time.fromisoformat(quiet["end"])) if quiet else None,
        digest=Digest(DigestRhythm(digest["rhythm"]), time.fromisoformat(digest["at"]), digest["weekday"]),
        language=item.get("language"),
        time_zone=item.get("time_zone"),
        version=item["version"],
    )


def _written(at: time) -> str:
    return at.strftime("%H:%M")
