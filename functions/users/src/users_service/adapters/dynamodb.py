"""Members in DynamoDB.

Key design
----------

| item | pk | sk | what else | size |
|---|---|---|---|---|
| account | `USER#<id>` | `PROFILE` | attributes below | 0.5-1.5 KB, 6 KB at the very most |
| credentials | `USER#<id>` | `CREDENTIALS` | `password_hash`, `changed_at` | 0.2 KB |
| session | `SESSION#<id>` | `SESSION` | see `adapters/sessions.py` | 0.5 KB |
| hold on an address | `EMAIL#<email_key>` | `EMAIL` | `user_id` | 0.2 KB |
| one-time code | `USER#<id>` | `CODE#<purpose>` | see `adapters/codes.py` | 0.4 KB |
| first administrator's address | `FIRSTADMIN#<digest>` | `FIRSTADMIN` | see `adapters/deployments.py` | 0.1 KB |
| answer to an idempotency key | `IDEMPOTENT#<digest>` | `IDEMPOTENT` | `digest`, `answer`, `expires_at_epoch` | 1 KB |

Account: `user_id, name, email, email_key, role, status, status_reason, suspended_until, phone, phone_confirmed,
preferences, expires_at, email_verified_at, session_epoch, created_at, version, events`, and `directory` with
`directory_name` for the index. Attributes without a value are absent. Timestamps are RFC 3339 in UTC with whole
seconds, so that they compare as text.

Index `by_name`: partition key `directory` (the constant `MEMBERS`), sort key `directory_name`
(`<folded name>` TAB `<id>`; a tab sorts before every character of a name, so Ann comes before Ann Lee),
projection ALL. Only accounts have the two attributes, so nothing of the credentials gets into it.

| access pattern | how | read units |
|---|---|---|
| one account by id | GetItem, consistent | 1 (2 above 4 KB) |
| one account by e-mail | GetItem of the hold, GetItem of the account, consistent | 2 |
| is an address taken | GetItem of the hold, consistent | 1 |
| the password of an account | GetItem of the credentials, consistent | 1 |
| accounts by name, or name prefix | Query of `by_name` | 0.5 per 4 KB read |
| the same with role, status | filtered, at most `MAX_QUERIES` queries, then a cursor | 0.5 per 4 KB read |
| ended memberships and suspensions (nightly) | Query of all of `by_name`, filtered | 0.5 per 4 KB read |

| write | operations in one transaction | write units for items of 1 KB |
|---|---|---|
| register | hold, account, credentials (all absent), answer (absent or too old) | 2 each, index 1 |
| change | account (of the version read); no transaction | 1, index 1 (2 when the name changes) |
| erase | account becomes a tombstone (of the version read), address, everything else under `USER#<id>` | 2 each |
| change with another address | account (of the version read), new hold (absent), old hold (mine) | 2 each, index 1 |
| either, or registering, of a staff account | the same in a transaction with a check of the actor's account | 2 more |

No read of an account touches the credentials: they are another item, and only erasing queries `USER#<id>`.

Uniqueness of addresses rests on the hold's key alone: whoever puts it first has the address, and it moves in
the transaction that changes the account, so no crash or race leaves an address held twice or by nobody's account.
The account keeps the key it holds (`email_key`), so that it is found again should the folding ever change.

Hot keys: accounts spread over their ids. All of `by_name` is one partition: 1,000 write units a second, some
hundreds of registrations or changes a second, beyond which writes to the table are throttled too. A library that
imports faster than that spreads `directory` over several values and merges on reading. The index lags the table
by usually less than a second: a list may miss the newest account or show the state before the last change.

Retention: the answer to an idempotency key contains the account's data as answered; TTL on `expires_at_epoch`
removes it after 24 hours, and a one-time code ten minutes after it was made. Everything else stays until the account
is erased; then only a tombstone without personal data stays for a week (`erased`, `version`, its last events,
`expires_at_epoch`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import (
    ABSENT,
    PRESENT,
    Check,
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
from users_service.application.ports import AlreadyAnswered, ChangedMeanwhile
from users_service.application.sorting import sort_name
from users_service.domain.directory import Filters, Place
from users_service.domain.errors import EmailTaken
from users_service.domain.membership import Status
from users_service.domain.model import Member, Preferences
from users_service.domain.roles import Role

INDEX = "by_name"
DIRECTORY = "MEMBERS"
TOMBSTONE_LIFETIME = timedelta(days=7)
"""How long it is kept that there was an account: the stream reads its last events from it within a day."""
MAX_QUERIES = 5
FILTERED_QUERY_ITEMS = 100
"""Read per query when a filter will drop some: at most about 150 KB, far below a query's 1 MB."""


class DynamoMembers:
    """`Members` on one table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    # -- reading ------------------------------------------------------------------------------

    def get(self, user_id: str) -> Member | None:
        item = self._table.get(_account_key(user_id))
        return _member(item) if item is not None and not item.get("erased") else None

    def holder_of(self, email_key: str) -> str | None:
        item = self._table.get(_hold_key(email_key))
        return str(item["user_id"]) if item is not None else None

    def password_hash(self, user_id: str) -> str | None:
        item = self._table.get(credentials_key(user_id))
        return str(item["password_hash"]) if item is not None else None

    def answer_to(self, ticket: Ticket, now: datetime) -> str | None:
        return ticket.stored_answer(self._table.get(ticket.key()), now)

    def page(
        self, filters: Filters, *, after: Place | None, limit: int, now: datetime
    ) -> tuple[list[Member], Place | None]:
        condition, only_if = _in_directory(filters), _matching(filters, now)
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
        return [_member(item) for item in found], _place(start) if start is not None else None

    def lapsed(self, *, after: Place | None, now: datetime) -> tuple[list[Member], Place | None]:
        items, start = self._table.query(
            _in_directory(Filters()),
            index=INDEX,
            start=_index_key(after) if after is not None else None,
            only_if=_ended_by(now),
        )
        return [_member(item) for item in items], _place(start) if start is not None else None

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
        voucher: Member | None = None,
    ) -> None:
        # The ticket comes first: a request racing with its own repeat is a repeat, not a taken address.
        writes: list[Write] = [ticket.record(answer, now)] if ticket is not None else []
        writes += [
            Put({**_hold_key(member.email_key), "user_id": member.id}, ABSENT),
            Put(_item(member, happened), ABSENT),
        ]
        if password_hash is not None:
            writes.append(Put(credentials(member.id, password_hash, now), ABSENT))
        if voucher is not None:
            writes.append(still_as_read(voucher))
        hold = 1 if ticket is not None else 0
        try:
            self._table.transact(writes)
        except ConditionFailed as exc:
            if ticket is not None and exc.index == 0:
                earlier = ticket.stored_answer(exc.item, now)
                if earlier is not None:
                    raise AlreadyAnswered(earlier) from exc
            if exc.index == hold:
                raise EmailTaken from exc
            if voucher is not None and exc.index == len(writes) - 1:
                raise ChangedMeanwhile from exc
            raise

    def save(
        self, member: Member, *, before: Member, happened: Sequence[Envelope], voucher: Member | None = None
    ) -> None:
        replaced = replacement(member, before, happened)
        writes: list[Write] = [replaced]
        moved = member.email_key != before.email_key
        if moved:
            mine = Expression("#user_id = :user_id", names={"user_id": "user_id"}, values={"user_id": member.id})
            writes += [
                Put({**_hold_key(member.email_key), "user_id": member.id}, ABSENT),
                Delete(_hold_key(before.email_key), mine),
            ]
        if voucher is not None:
            writes.append(still_as_read(voucher))
        if len(writes) == 1:
            self._replace(replaced.item, replaced.condition)
            return
        try:
            self._table.transact(writes)
        except ConditionFailed as exc:
            if exc.index == 0 or (voucher is not None and exc.index == len(writes) - 1):
                raise ChangedMeanwhile from exc
            if moved and exc.index == 1:
                raise EmailTaken from exc
            raise

    def erase(self, member: Member, *, happened: Sequence[Envelope], now: datetime) -> None:
        account = _account_key(member.id)
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
        mine = Expression("#user_id = :user_id", names={"user_id": "user_id"}, values={"user_id": member.id})
        writes: list[Write] = [
            Put(tombstone, _of_version(member)),
            Delete(_hold_key(member.email_key), mine),
            *(Delete({"pk": item["pk"], "sk": item["sk"]}, PRESENT) for item in kept if item["sk"] != account["sk"]),
        ]
        try:
            self._table.transact(writes)
        except ConditionFailed as exc:
            # Also when a code or a password came or went meanwhile: looking again finds what there is now.
            raise ChangedMeanwhile from exc

    def _replace(self, item: Item, condition: Expression) -> None:
        try:
            self._table.put(item, condition)
        except ConditionFailed as exc:
            # An answer lost on the way is asked for again by the client library, which then meets our own
            # write. (A transaction carries a token for that.)
            if exc.item == {name: value for name, value in item.items() if value is not None}:
                return
            raise ChangedMeanwhile from exc


# -- conditions -----------------------------------------------------------------------------------


def _of_version(member: Member) -> Expression:
    return Expression("#version = :version", names={"version": "version"}, values={"version": member.version})


def still_as_read(member: Member) -> Check:
    """For a transaction that must not overtake a change of this account: a suspension, another role, a new password."""
    return Check(_account_key(member.id), _of_version(member))


# -- what other adapters of the table write, too --------------------------------------------------


def replacement(member: Member, before: Member, happened: Sequence[Envelope]) -> Put:
    """Writes an account in the place of the version that was read. Its address must be the same."""
    return Put(_item(member, happened), _of_version(before))


def credentials_key(user_id: str) -> dict[str, str]:
    """Where an account's credentials are."""
    return {"pk": f"USER#{user_id}", "sk": "CREDENTIALS"}


def credentials(user_id: str, password_hash: str, now: datetime) -> Item:
    """The credentials of an account."""
    return {**credentials_key(user_id), "password_hash": password_hash, "changed_at": to_rfc3339(now)}


# -- keys -----------------------------------------------------------------------------------------


def _account_key(user_id: str) -> dict[str, str]:
    return {"pk": f"USER#{user_id}", "sk": "PROFILE"}


def _hold_key(email_key: str) -> dict[str, str]:
    return {"pk": f"EMAIL#{email_key}", "sk": "EMAIL"}


def _directory_entry(place: Place) -> dict[str, str]:
    return {"directory": DIRECTORY, "directory_name": f"{place.sort_name}\t{place.user_id}"}


def _index_key(place: Place) -> dict[str, str]:
    return {**_directory_entry(place), **_account_key(place.user_id)}


def _place(index_key: Mapping[str, Any]) -> Place:
    name, _, user_id = str(index_key["directory_name"]).rpartition("\t")
    return Place(name, user_id)


# -- conditions of the directory ------------------------------------------------------------------


def _in_directory(filters: Filters) -> Expression:
    names, values = {"directory": "directory"}, {"directory": DIRECTORY}
    if filters.name_prefix is None:
        return Expression("#directory = :directory", names, values)
    return Expression(
        "#directory = :directory AND begins_with(#directory_name, :prefix)",
        {**names, "directory_name": "directory_name"},
        {**values, "prefix": filters.name_prefix},
    )


_LASTING = "(attribute_not_exists(#expires_at) OR #expires_at > :now)"
_LAPSED = "(#status = :suspended AND #suspended_until <= :now)"
_UNTIL = "(attribute_not_exists(#suspended_until) OR #suspended_until > :now)"
_STATUS_READS_AS = {
    # `domain.membership.effective_status` as a filter. A comparison with an absent attribute is false.
    Status.PENDING: "#status = :pending",
    Status.ACTIVE: f"(#status = :active OR {_LAPSED}) AND {_LASTING}",
    Status.SUSPENDED: f"#status = :suspended AND {_UNTIL}",
    Status.EXPIRED: f"(#status = :expired OR ((#status = :active OR {_LAPSED}) AND #expires_at <= :now))",
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


def _ended_by(now: datetime) -> Expression:
    """Those whose stored status time has outdated; the other half of `effective_status`."""
    return Expression(
        f"{_LAPSED} OR (#status = :active AND #expires_at <= :now)",
        {name: name for name in ("status", "suspended_until", "expires_at")},
        {"active": Status.ACTIVE.value, "suspended": Status.SUSPENDED.value, "now": to_rfc3339(now)},
    )


# -- items ----------------------------------------------------------------------------------------


def _item(member: Member, happened: Sequence[Envelope]) -> Item:
    """The whole account. Without events the attribute is absent, so an earlier one's do not linger."""
    preferences = member.preferences
    return {
        **_account_key(member.id),
        **_directory_entry(Place(sort_name(member.name), member.id)),
        "user_id": member.id,
        "name": member.name,
        "email": member.email,
        "email_key": member.email_key,
        "role": member.role.value,
        "status": member.stored_status.value,
        "status_reason": member.status_reason,
        "suspended_until": _text(member.suspended_until),
        "phone": member.phone,
        "phone_confirmed": member.phone_confirmed,
        "preferences": {
            name: value
            for name, value in {
                "language": preferences.language,
                "notification_email": preferences.notification_email,
                "notification_sms": preferences.notification_sms,
                "keep_history": preferences.keep_history,
                "share_for_recommendations": preferences.share_for_recommendations,
            }.items()
            if value is not None
        },
        "expires_at": _text(member.expires_at),
        "email_verified_at": _text(member.email_verified_at),
        "session_epoch": member.session_epoch,
        "created_at": to_rfc3339(member.created_at),
        "version": member.version,
        OUTBOX_ATTRIBUTE: to_outbox(happened),
    }


def _member(item: Mapping[str, Any]) -> Member:
    return Member(
        id=item["user_id"],
        name=item["name"],
        email=item["email"],
        email_key=item["email_key"],
        role=Role(item["role"]),
        stored_status=Status(item["status"]),
        status_reason=item.get("status_reason"),
        suspended_until=_moment(item.get("suspended_until")),
        phone=item.get("phone"),
        phone_confirmed=item.get("phone_confirmed", False),
        preferences=Preferences(**item["preferences"]),
        expires_at=_moment(item.get("expires_at")),
        email_verified_at=_moment(item.get("email_verified_at")),
        session_epoch=item.get("session_epoch", 0),
        created_at=from_rfc3339(item["created_at"]),
        version=item["version"],
    )


def _text(moment: datetime | None) -> str | None:
    return to_rfc3339(moment) if moment is not None else None


def _moment(text: str | None) -> datetime | None:
    return from_rfc3339(text) if text is not None else None
