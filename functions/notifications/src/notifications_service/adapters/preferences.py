"""Members' preferences in the notifications table.

`MEMBER#<user id>` / `PREFERENCES`
    `version`, `channels` {kind: [channel]} (only what differs from the default), `quiet` {start, end}, `digest`
    {rhythm, at, weekday}, `language`, `time_zone`. About 300 bytes; absent for members who never chose. Read with one
    GetItem; changed on the condition of the former version, in one transaction with a check of `ERASED`. Erasing the
    member removes everything under `MEMBER#<user id>`, and nothing comes back after that.
"""

from datetime import time
from typing import Any

from library_common.dynamodb import ABSENT, Check, ConditionFailed, Expression, Item, Put, Table, Update, Write
from library_common.versions import VersionConflict
from notifications_service.adapters.dynamodb import changes, erased_key, preferences_key
from notifications_service.domain.errors import UserNotFound
from notifications_service.domain.preferences import Digest, Preferences, QuietHours


class DynamoPreferences:
    """Implements `application.ports.PreferencesStore`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def of(self, user_id: str) -> Preferences:
        item = self._table.get(preferences_key(user_id))
        return _to_preferences(item) if item is not None else Preferences()

    def replace(self, user_id: str, before: Preferences, preferences: Preferences) -> None:
        try:
            self._table.transact([Check(erased_key(user_id), ABSENT), _write(user_id, before, preferences)])
        except ConditionFailed as exc:
            if exc.index == 0:
                raise UserNotFound from exc
            stored = _to_preferences(exc.item) if exc.item is not None else Preferences()
            if stored == preferences:
                return  # our own write, sent again by the SDK
            raise VersionConflict(stored) from exc


def _write(user_id: str, before: Preferences, preferences: Preferences) -> Write:
    """Sets the attributes within `quiet` and `digest` one by one: others may be in them."""
    key, item = preferences_key(user_id), _item(preferences)
    if not before.version:
        return Put({**key, **item}, ABSENT)
    nested = {"digest": item.pop("digest")}
    if before.quiet_hours is not None and preferences.quiet_hours is not None:
        nested["quiet"] = item.pop("quiet")
    update = changes(item)
    names, values = dict(update.names), dict(update.values)
    paths = []
    for outer, attributes in nested.items():
        for inner, value in attributes.items():
            names |= {outer: outer, inner: inner}
            values[f"{outer}_{inner}"] = value
            paths.append(f"#{outer}.#{inner} = :{outer}_{inner}")
    unchanged = Expression("#version = :version_before", {"version": "version"}, {"version_before": before.version})
    text = update.text.replace("SET ", f"SET {', '.join(paths)}, ", 1)
    return Update(key, Expression(text, names, values), unchanged)


def _item(preferences: Preferences) -> dict[str, Any]:
    quiet, digest = preferences.quiet_hours, preferences.digest
    return {
        "version": preferences.version,
        "channels": {str(kind): [str(name) for name in names] for kind, names in preferences.channels.items()},
        "quiet": {"start": _written(quiet.start), "end": _written(quiet.end)} if quiet is not None else None,
        "digest": {"rhythm": str(digest.rhythm), "at": _written(digest.at), "weekday": digest.weekday},
        "language": preferences.language,
        "time_zone": preferences.time_zone,
    }


def _to_preferences(item: Item) -> Preferences:
    quiet, digest = item.get("quiet"), item["digest"]
    return Preferences(
        channels={kind: tuple(names) for kind, names in item["channels"].items()},
        quiet_hours=QuietHours(time.fromisoformat(quiet["start"]), time.fromisoformat(quiet["end"])) if quiet else None,
        digest=Digest(digest["rhythm"], time.fromisoformat(digest["at"]), digest["weekday"]),
        language=item.get("language"),
        time_zone=item.get("time_zone"),
        version=item["version"],
    )


def _written(at: time) -> str:
    return at.strftime("%H:%M")
