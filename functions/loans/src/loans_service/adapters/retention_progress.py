"""The progress of the retention job: one item of the loans table, written on the version that was read."""

from datetime import date
from typing import Any

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import ABSENT, ConditionFailed, Item, Table
from library_common.versions import VersionConflict
from loans_service.adapters.stored_items import set_only, was_version, with_current_names
from loans_service.application.ports import ListedMember, RetentionProgress

_KEY = {"pk": "RETENTION", "sk": "ROUND"}
_COUNTS = ("anonymised", "keeping_history", "postponed", "failed")
_OLD_NAMES = {
    "version": "v",
    "complete": "through",
    "anonymised": "forgotten",
    "keeping_history": "keeping",
    "postponed": "put_off",
}


class DynamoProgressStore:
    """Implements `application.ports.ProgressStore`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def current(self) -> RetentionProgress | None:
        item = self._table.get(_KEY)
        return _progress(item) if item else None

    def save(self, now: RetentionProgress) -> RetentionProgress:
        attributes = {**_attributes(now), "version": now.version + 1}
        try:
            stored = self._table.update(
                _KEY,
                set_only(attributes, remove=_OLD_NAMES.values()),
                was_version(now.version) if now.version else ABSENT,
            )
        except ConditionFailed as failed:
            raise VersionConflict from failed
        return _progress(stored)


def _attributes(now: RetentionProgress) -> Item:
    return {
        "day": now.day.isoformat(),
        "complete": now.complete,
        # `since` as in the key of the index by_since, where this is a position.
        "after": {"member": now.after.user_id, "since": to_rfc3339(now.after.closed_loans_since)}
        if now.after
        else None,
        "walked": now.walked,
        "walk_after": dict(now.walk_after) if now.walk_after else None,
        **{name: getattr(now, name) for name in _COUNTS},
    }


def _progress(stored: Item) -> RetentionProgress:
    item = with_current_names(stored, _OLD_NAMES)
    after: dict[str, Any] | None = item.get("after")
    return RetentionProgress(
        day=date.fromisoformat(item["day"]),
        version=item["version"],
        complete=item["complete"],
        after=ListedMember(after["member"], from_rfc3339(after["since"])) if after else None,
        walked=item["walked"],
        walk_after=item.get("walk_after"),
        **{name: item[name] for name in _COUNTS},
    )
