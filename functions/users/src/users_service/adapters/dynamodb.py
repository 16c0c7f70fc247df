"""Members in DynamoDB.

Key design
----------

| item | pk | sk | what else | size |
|---|---|---|---|---|
| account | `USER#<id>` | `PROFILE` | attributes below | 0.5-1.5 KB, 6 KB at the very most |
| credentials | `USER#<id>` | `CREDENTIALS` | `password_hash`, `changed_at` | 0.2 KB |
| session | `SESSION#<id>` | `SESSION` | see `adapters/sessions.py` | 0.5 KB |
| reserved address | `EMAIL#<email_key>` | `EMAIL` | `user_id` | 0.2 KB |
| one-time code | `USER#<id>` | `CODE#<purpose>` | see `adapters/codes.py` | 0.4 KB |
| first administrator's address | `FIRSTADMIN#<digest>` | `FIRSTADMIN` | `adapters/first_administrators.py` | 0.1 KB |
| answer to an idempotency key | `IDEMPOTENT#<digest>` | `IDEMPOTENT` | `digest`, `answer`, `expires_at_epoch` | 1 KB |

Account: `user_id, name, email, email_key, role, status, status_reason, suspended_until, phone, phone_confirmed,
preferences, expires_at, email_verified_at, session_epoch, created_at, version, events`, and `directory` with
`directory_name` for the index. Attributes without a value are absent. Timestamps are RFC 3339 in UTC with whole
seconds, so they compare as text. `role` and `status` may hold values of a newer version (`domain/model.py`).

Index `by_name`: partition key `directory` (the constant `MEMBERS`), sort key `directory_name`
(`<folded name>` TAB `<id>`; a tab sorts before every character of a name, so Ann comes before Ann Lee),
projection ALL. Only accounts have the two attributes, so nothing of the credentials gets into it.

| access pattern | how | read units |
|---|---|---|
| one account by id | GetItem, consistent | 1 (2 above 4 KB) |
| one account by e-mail | GetItem of the reserved address, GetItem of the account, consistent | 2 |
| is an address taken | GetItem of the reserved address, consistent | 1 |
| the password of an account | GetItem of the credentials, consistent | 1 |
| accounts by name, or name prefix | Query of `by_name` | 0.5 per 4 KB read |
| the same with role, status | filtered, at most `MAX_QUERIES` queries, then a cursor | 0.5 per 4 KB read |
| ended memberships and suspensions (nightly) | Query of all of `by_name`, filtered | 0.5 per 4 KB read |

| write | operations in one transaction | write units for items of 1 KB |
|---|---|---|
| register | address, account, credentials (all absent), answer (absent or too old) | 2 each, index 1 |
| change | account (of the version read); no transaction | 1, index 1 (2 when the name changes) |
| erase | account becomes a tombstone (of the version read), address, everything else under `USER#<id>` | 2 each |
| change of the address | account (of the version read), new address (absent), old address | 2 each, index 1 |
| any of these for a staff account | the same in a transaction with a check of the acting account | 2 more |

No read of an account touches the credentials: they are another item, and only erasing queries `USER#<id>`.

Changes name the attributes they set and remove (see `adapters/account_items.py`), so attributes of a newer version of
the service survive them.

The key of the reserved address alone makes addresses unique. Whoever puts the item first has the address, and it moves
in the transaction that changes the account. So no crash or race gives an address to two accounts, or to none. The
account stores the key as `email_key`, so the item is found even if the folding of addresses changes one day.

Hot keys: accounts spread over their ids. All of `by_name` is one partition. It takes 1,000 write units a second, which
is some hundreds of registrations or changes; beyond that, writes to the table are throttled, too. A library that needs
more spreads `directory` over several values and merges when reading. The index usually lags less than a second behind:
a list may miss the newest account or show an account as it was before its last change.

Retention: the answer to an idempotency key contains the account's data; TTL on `expires_at_epoch` removes it after 24
hours, and a one-time code after ten minutes. Everything else stays until the account is erased. Then a tombstone
without personal data stays for a week (`erased`, `version`, the last events, `expires_at_epoch`).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from library_common.clock import to_rfc3339
from library_common.dynamodb import (
    ABSENT,
    PRESENT,
    ConditionFailed,
    Delete,
    Expression,
    Item,
    Put,
    Table,
    Write,
)
from library_common.events import OUTBOX_ATTRIBUTE, Envelope, to_outbox
from library_common.idempotency import Ticket
from library_common.versions import VersionConflict
from users_service.adapters.account_items import (
    DIRECTORY,
    account_change,
    account_key,
    credentials,
    credentials_key,
    directory_entry,
    new_account,
    of_version,
    read_account,
    still_as_read,
)
from users_service.application.ports import AlreadyAnswered
from users_service.domain.errors import EmailTaken
from users_service.domain.membership import Status
from users_service.domain.model import Member
from users_service.domain.search import Filters, Position

INDEX = "by_name"
TOMBSTONE_LIFETIME = timedelta(days=7)
"""Long enough for the stream, which reads the account's last events from the tombstone within a day."""
MAX_QUERIES = 5
FILTERED_QUERY_ITEMS = 100
"""Items per query with a filter: at most about 150 KB, far below a query's 1 MB."""


class DynamoMembers:
    """`Members` on one table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    # -- reading ------------------------------------------------------------------------------

    def get(self, user_id: str) -> Member | None:
        return read_account(self._table.get(account_key(user_id)))

    def holder_of(self, email_key: str) -> str | None:
        item = self._table.get(_email_key(email_key))
        return str(item["user_id"]) if item is not None else None

    def password_hash(self, user_id: str) -> str | None:
        item = self._table.get(credentials_key(user_id))
        return str(item["password_hash"]) if item is not None else None

    def answer_to(self, ticket: Ticket, now: datetime) -> str | None:
        return ticket.stored_answer(self._table.get(ticket.key()), now)

    def page(
        self, filters: Filters, *, after: Position | None, limit: int, now: datetime
    ) -> tuple[list[Member], Position | None]:
        condition, only_if = _directory_query(filters), _matching(filters, now)
        start = _index_key(after) if after is not None else None
        found: list[Item] = []
        for _ in range(MAX_QUERIES):
            # One more than asked for tells whether there is a next page.
            ask = limit + 1 - len(found) if only_if is None else max(limit + 1, FILTERED_QUERY_ITEMS)
            items, start = self._table.query(condition, index=INDEX, limit=ask, start=start, only_if=only_if)
            found.extend(items)
            if len(found) > limit:
                found = found[:limit]
                start = found[-1]
                break
            if start is None:
                break
        return _members(found), _position(start) if start is not None else None

    def ended(self, *, after: Position | None, now: datetime) -> tuple[list[Member], Position | None]:
        items, start = self._table.query(
            _directory_query(Filters()),
            index=INDEX,
            start=_index_key(after) if after is not None else None,
            only_if=_ended(now),
        )
        return _members(items), _position(start) if start is not None else None

    # -- writing ------------------------------------------------------------------------------

    def add(
        self,
        member: Member,
        *,
        password_hash: str | None,
        happened: Sequence[Envelope],
        ticket: Ticket | None,
        answer: str,
        now: datetime,
        acting_staff: Member | None = None,
    ) -> None:
        # The ticket comes first: a request racing with its own repeat is a repeat, not a taken address.
        writes: list[Write] = [ticket.record(answer, now)] if ticket is not None else []
        writes += [_reservation(member), Put(new_account(member, happened), ABSENT)]
        if password_hash is not None:
            writes.append(Put({**credentials_key(member.id), **credentials(password_hash, now)}, ABSENT))
        if acting_staff is not None:
            writes.append(still_as_read(acting_staff))
        reservation = 1 if ticket is not None else 0
        try:
            self._table.transact(writes)
        except ConditionFailed as exc:
            if ticket is not None and exc.index == 0:
                earlier = ticket.stored_answer(exc.item, now)
                if earlier is not None:
                    raise AlreadyAnswered(earlier) from exc
            if exc.index == reservation:
                raise EmailTaken from exc
            if acting_staff is not None and exc.index == len(writes) - 1:
                raise VersionConflict from exc
            raise

    def save(
        self, member: Member, *, before: Member, happened: Sequence[Envelope], acting_staff: Member | None = None
    ) -> None:
        moved = member.email_key != before.email_key
        if not moved and acting_staff is None:
            self._update(member, before, happened)
            return
        writes: list[Write] = [account_change(member, before, happened)]
        if moved:
            writes += [_reservation(member), _release(before)]
        if acting_staff is not None:
            writes.append(still_as_read(acting_staff))
        try:
            self._table.transact(writes)
        except ConditionFailed as exc:
            if exc.index == 0 or (acting_staff is not None and exc.index == len(writes) - 1):
                raise VersionConflict from exc
            if moved and exc.index == 1:
                raise EmailTaken from exc
            raise

    def _update(self, member: Member, before: Member, happened: Sequence[Envelope]) -> None:
        change = account_change(member, before, happened)
        try:
            self._table.update(change.key, change.update, change.condition)
        except ConditionFailed as exc:
            # boto3 repeats a request whose answer was lost, and then meets our own write. (Transactions carry a token
            # for that.)
            stored = exc.item or {}
            if read_account(exc.item) == member and stored.get(OUTBOX_ATTRIBUTE) == to_outbox(happened):
                return
            raise VersionConflict from exc

    def erase(self, member: Member, *, happened: Sequence[Envelope], now: datetime) -> None:
        account = account_key(member.id)
        kept = self._table.query_all(
            Expression("#pk = :pk", names={"pk": "pk"}, values={"pk": account["pk"]}), consistent=True
        )
        tombstone = {
            **account,
            "erased": True,
            "version": member.version + 1,
            "expires_at_epoch": int((now + TOMBSTONE_LIFETIME).timestamp()),
            OUTBOX_ATTRIBUTE: to_outbox(happened),
        }
        writes: list[Write] = [
            # The only Put over an existing item: what a newer version stored in it may be personal, so it goes, too.
            Put(tombstone, of_version(member)),
            _release(member),
            *(Delete({"pk": item["pk"], "sk": item["sk"]}, PRESENT) for item in kept if item["sk"] != account["sk"]),
        ]
        try:
            self._table.transact(writes)
        except ConditionFailed as exc:
            # Also when a code or a password came or went meanwhile: the next try finds what there is then.
            raise VersionConflict from exc


# -- addresses ------------------------------------------------------------------------------------


def _email_key(email_key: str) -> dict[str, str]:
    return {"pk": f"EMAIL#{email_key}", "sk": "EMAIL"}


def _reservation(member: Member) -> Put:
    return Put({**_email_key(member.email_key), "user_id": member.id}, ABSENT)


def _release(member: Member) -> Delete:
    mine = Expression("#user_id = :user_id", names={"user_id": "user_id"}, values={"user_id": member.id})
    return Delete(_email_key(member.email_key), mine)


# -- searches -------------------------------------------------------------------------------------


def _index_key(position: Position) -> dict[str, str]:
    return {**directory_entry(position), **account_key(position.user_id)}


def _members(items: Iterable[Item]) -> list[Member]:
    # Tombstones are not in the index.
    return [member for item in items if (member := read_account(item)) is not None]


def _position(index_key: Mapping[str, Any]) -> Position:
    name, _, user_id = str(index_key["directory_name"]).rpartition("\t")
    return Position(name, user_id)


def _directory_query(filters: Filters) -> Expression:
    names, values = {"directory": "directory"}, {"directory": DIRECTORY}
    if filters.name_prefix is None:
        return Expression("#directory = :directory", names, values)
    return Expression(
        "#directory = :directory AND begins_with(#directory_name, :prefix)",
        {**names, "directory_name": "directory_name"},
        {**values, "prefix": filters.name_prefix},
    )


_NOT_EXPIRED = "(attribute_not_exists(#expires_at) OR #expires_at > :now)"
_SUSPENSION_OVER = "(#status = :suspended AND #suspended_until <= :now)"
_SUSPENSION_LASTS = "(attribute_not_exists(#suspended_until) OR #suspended_until > :now)"
_STATUS_READS_AS = {
    # `domain.membership.effective_status` as a filter. A comparison with an absent attribute is false.
    Status.PENDING: "#status = :pending",
    Status.ACTIVE: f"(#status = :active OR {_SUSPENSION_OVER}) AND {_NOT_EXPIRED}",
    Status.SUSPENDED: f"#status = :suspended AND {_SUSPENSION_LASTS}",
    Status.EXPIRED: f"(#status = :expired OR ((#status = :active OR {_SUSPENSION_OVER}) AND #expires_at <= :now))",
}


def _matching(filters: Filters, now: datetime) -> Expression | None:
    parts: list[str] = []
    names: dict[str, str] = {}
    values: dict[str, str] = {}
    if filters.role is not None:
        parts.append("#role = :role")
        names["role"], values["role"] = "role", filters.role.value
    if filters.status is not None:
        text = _STATUS_READS_AS[filters.status]
        parts.append(text)
        names |= {name: name for name in ("status", "suspended_until", "expires_at") if f"#{name}" in text}
        values |= {status.value: status.value for status in Status if f":{status.value}" in text}
        if ":now" in text:
            values["now"] = to_rfc3339(now)
    return Expression(" AND ".join(parts), names, values) if parts else None


def _ended(now: datetime) -> Expression:
    """Accounts whose stored status is no longer the one of `effective_status`."""
    return Expression(
        f"{_SUSPENSION_OVER} OR (#status = :active AND #expires_at <= :now)",
        {name: name for name in ("status", "suspended_until", "expires_at")},
        {"active": Status.ACTIVE.value, "suspended": Status.SUSPENDED.value, "now": to_rfc3339(now)},
    )
