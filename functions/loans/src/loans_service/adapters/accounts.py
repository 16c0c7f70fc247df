"""Members' accounts in the loans table, as the list of those who may have loans to anonymise (index by_since)."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import ConditionFailed, Expression, Table
from loans_service.adapters.dynamodb import ACCOUNTS
from loans_service.adapters.loan_items import account_key
from loans_service.adapters.stored_items import set_only
from loans_service.application.ports import ALWAYS_DUE, ListedMember, WalkPlace

BY_SINCE = "by_since"


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
