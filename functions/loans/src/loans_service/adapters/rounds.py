"""The round over closed loans, as noted in the loans table: one item, written on the version before."""

from datetime import date
from typing import Any

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import ABSENT, ConditionFailed, Expression, Item, Table
from loans_service.application.forgetting_ports import AnotherRun, Listed, Round

_KEY = {"pk": "RETENTION", "sk": "ROUND"}
_COUNTS = ("forgotten", "keeping", "put_off", "failed")


class DynamoRounds:
    """Implements `application.forgetting_ports.Rounds`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def current(self) -> Round | None:
        item = self._table.get(_KEY)
        return _round(item) if item else None

    def note(self, now: Round) -> Round:
        on_what_was_read = Expression("#v = :was", {"v": "v"}, {"was": now.version}) if now.version else ABSENT
        try:
            self._table.put({**_item(now), "v": now.version + 1}, on_what_was_read)
        except ConditionFailed as failed:
            raise AnotherRun from failed
        return _round({**_item(now), "v": now.version + 1})


def _item(now: Round) -> Item:
    return {
        **_KEY,
        "day": now.day.isoformat(),
        "through": now.through,
        "after": {"member": now.after.user_id, "since": to_rfc3339(now.after.since)} if now.after else None,
        "walked": now.walked,
        "walk_after": dict(now.walk_after) if now.walk_after else None,
        **{name: getattr(now, name) for name in _COUNTS},
    }


def _round(item: Item) -> Round:
    after: dict[str, Any] | None = item.get("after")
    return Round(
        day=date.fromisoformat(item["day"]),
        version=item["v"],
        through=item["through"],
        after=Listed(after["member"], from_rfc3339(after["since"])) if after else None,
        walked=item["walked"],
        walk_after=item.get("walk_after"),
        forgotten=item["forgotten"],
        keeping=item["keeping"],
        put_off=item["put_off"],
        failed=item["failed"],
    )
