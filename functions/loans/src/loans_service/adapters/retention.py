"""What the retention job keeps in the loans table.

The list of members who may have loans to anonymise is made of their accounts (index by_since). The progress of the job
is one item, written on the version that was read.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from typing import Any

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import ABSENT, ConditionFailed, Expression, Item, Table
from library_common.versions import VersionConflict
from loans_service.adapters.dynamodb import ACCOUNTS
from loans_service.adapters.items import account_key, set_only, was_version, with_current_names
from loans_service.application.ports import ALWAYS_DUE, ListedMember, RetentionProgress, WalkPlace

BY_SINCE = "by_since"
_PROGRESS_KEY = {"pk": "RETENTION", "sk": "ROUND"}
_COUNTS = ("anonymised", "keeping_history", "postponed", "failed")
_OLD_PROGRESS_NAMES = {
    "version": "v",
    "complete": "through",
    "anonymised": "forgotten",
    "keeping_history": "keeping",
    "postponed": "put_off",
}


class DynamoAccounts:
    """Implements `application.ports.Accounts`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def mark_erased(self, user_id: str, at: datetime) -> None:
        mark = Expression(
            "SET #erased = :at, #listed = :accounts, #since = :always_due, #open = if_not_exists(#open, :none)",
            {"erased": "erased", "listed": "listed", "since": "since", "open": "open"},
            {"at": to_rfc3339(at), "accounts": ACCOUNTS, "always_due": to_rfc3339(ALWAYS_DUE), "none": {}},
        )
        # Also where there is no account: a checkout that asked users before the erasure would make one.
        self._update_if(user_id, mark, Expression("attribute_not_exists(#erased)", {"erased": "erased"}))

    def due(
        self, until: datetime, limit: int, after: ListedMember | None
    ) -> tuple[list[ListedMember], ListedMember | None]:
        start = (
            {"listed": ACCOUNTS, "since": to_rfc3339(after.closed_loans_since), **account_key(after.user_id)}
            if after
            else None
        )
        found, last = self._table.query(
            Expression(
                "#listed = :accounts AND #since <= :until",
                {"listed": "listed", "since": "since"},
                {"accounts": ACCOUNTS, "until": to_rfc3339(until)},
            ),
            index=BY_SINCE,
            limit=limit,
            start=start,
        )
        return [_listed(entry) for entry in found], _listed(last) if last else None

    def advance(self, user_id: str, *, was: datetime, to: datetime) -> None:
        self._update_if(
            user_id,
            set_only({"since": to_rfc3339(to)}),
            # Every run looks at an erased member until nothing is left.
            Expression(
                "#since = :was AND attribute_not_exists(#erased)", {"erased": "erased"}, {"was": to_rfc3339(was)}
            ),
        )

    def remove(self, user_id: str, *, erased_at: datetime) -> None:
        is_empty = Expression(
            "#erased = :erased AND size(#open) = :none",
            {"erased": "erased", "open": "open"},
            {"erased": to_rfc3339(erased_at), "none": 0},
        )
        with suppress(ConditionFailed):  # removed already, or a loan is still open
            self._table.delete(account_key(user_id), is_empty)

    def unlisted(self, after: WalkPlace | None) -> tuple[list[str], WalkPlace | None]:
        found, last = self._table.walk(
            Expression(
                "#sk = :account AND attribute_not_exists(#listed)",
                {"sk": "sk", "listed": "listed"},
                {"account": "ACCOUNT"},
            ),
            start=after,
        )
        return [_user_id(entry) for entry in found], last

    def add_to_list(self, user_id: str) -> None:
        self._update_if(
            user_id,
            set_only({"listed": ACCOUNTS, "since": to_rfc3339(ALWAYS_DUE)}),
            Expression("attribute_exists(#pk) AND attribute_not_exists(#listed)", {"pk": "pk", "listed": "listed"}),
        )

    def _update_if(self, user_id: str, update: Expression, condition: Expression) -> None:
        with suppress(ConditionFailed):
            self._table.update(account_key(user_id), update, condition)


def _listed(entry: Mapping[str, Any]) -> ListedMember:
    return ListedMember(_user_id(entry), from_rfc3339(entry["since"]))


def _user_id(entry: Mapping[str, Any]) -> str:
    return str(entry["pk"]).removeprefix("MEMBER#")


class DynamoProgressStore:
    """Implements `application.ports.ProgressStore`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def current(self) -> RetentionProgress | None:
        item = self._table.get(_PROGRESS_KEY)
        return _progress(item) if item else None

    def save(self, now: RetentionProgress) -> RetentionProgress:
        attributes = {**_attributes(now), "version": now.version + 1}
        try:
            stored = self._table.update(
                _PROGRESS_KEY,
                set_only(attributes, remove=_OLD_PROGRESS_NAMES.values()),
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
    item = with_current_names(stored, _OLD_PROGRESS_NAMES)
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
