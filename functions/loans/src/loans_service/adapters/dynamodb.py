"""The loans table.

    item                            pk              sk       written by
    a loan                          LOAN#<id>       LOAN     every step of its life, on the state before
    a member's account              MEMBER#<id>     ACCOUNT  places taken and given back; due dates
    the round over closed loans     RETENTION       ROUND    each page of a round, on the version before

    access                                          how                                   request units
    one loan                                        get, consistent                       1 read
    may the member borrow                           get the account, consistent           1 read
    open a PENDING loan and take a place            transaction of both items             4 write
    make the account with it, the first time ever   the same, + index by_since            5 write
    issue it                                        update + the two indexes              3-4 write
    anonymise it                                    update + index by_member              2 write
    a member's history, newest first                index by_member (keys), then batch get
    a member's loans, oldest first                  index by_member (keys), then get each
    a member's open loans                           account, then batch get: no index, always fresh
    the open loan of a copy                         index by_open_copy (keys), then get
    who has loans that may be due to be forgotten   index by_since (keys), `adapters.accounts`

Indexes hold keys only, so that a change of status costs them nothing. All are sparse: `issued` appears
when a loan is issued, `open_copy` while the copy is out. A PENDING or CANCELLED loan is in neither. `member` goes
when a loan is anonymised, and the loan from by_member with it.

Sizes: a loan is 0.4 to 1 KB with its events; an account grows by about 50 bytes per open loan. Keys: a
loan is a partition of its own, an account one per member, so no key is hotter than one member's own
requests. The account is a map of loan ids, not a counter: taking or giving back a place twice is
harmless, and what is there names what holds it.

When a closed loan is due to be forgotten is found by member, not by loan: `since` in the account says from when on
there may be closed loans that name the member. It is written with the account, before its first loan, and moved on by
the round over closed loans alone; so neither a return nor any checkout but a member's first pays for it, and a loan is
covered from its first moment. by_since holds all accounts under one key, oldest first. It is written when a member
borrows for the first time and once per member and retention period, far below what one key takes (1,000 a second), so
there are no shards to ask one by one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import (
    ABSENT,
    PRESENT,
    ConditionFailed,
    Delete,
    Expression,
    Item,
    Put,
    Table,
    TransactionBusy,
    Update,
)
from library_common.events import OUTBOX_ATTRIBUTE, Envelope, to_outbox
from loans_service.application.ports import Issued, LimitReached, LoanExists, MemberGone, Stale
from loans_service.domain.loan import EMPTY_ACCOUNT, Account, Loan, LoanStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BY_MEMBER = "by_member"
BY_OPEN_COPY = "by_open_copy"

ACCOUNTS = "ACCOUNTS"
"""The one key of the index by_since."""

KEEP_CANCELLED = timedelta(hours=24)
"""How long a refused checkout is remembered for repeats of its idempotency key."""

_OPENING_ATTEMPTS = 5
_EXPIRES = "expires_at_epoch"


class DynamoLoans:
    """Implements `application.ports.Loans`."""

    def __init__(self, table_name: str, client: "Callable[[], DynamoDBClient]") -> None:
        self._table = Table(table_name, client)

    # -- reading ------------------------------------------------------------------------------

    def get(self, loan_id: str) -> Loan | None:
        item = self._table.get(loan_key(loan_id))
        return _loan(item) if item else None

    def get_all(self, loan_ids: Sequence[str]) -> list[Loan]:
        return [_loan(item) for item in self._table.get_many([loan_key(loan_id) for loan_id in loan_ids])]

    def account(self, user_id: str) -> Account:
        item = self._table.get(account_key(user_id))
        return account_of(item) if item else EMPTY_ACCOUNT

    def open_loan_of_copy(self, barcode: str) -> Loan | None:
        found, _ = self._table.query(
            Expression("#copy = :copy", {"copy": "open_copy"}, {"copy": barcode}), index=BY_OPEN_COPY
        )
        for entry in found:
            # The index may lag behind; the loan itself is read fresh.
            item = self._table.get({"pk": entry["pk"], "sk": entry["sk"]})
            if item and (loan := _loan(item)).is_open and loan.barcode == barcode:
                return loan
        return None

    def history(
        self, user_id: str, limit: int, after: Mapping[str, object] | None
    ) -> tuple[list[Loan], dict[str, object] | None]:
        start = (
            {"member": user_id, "issued": after["issued"], **loan_key(str(after["id"]))} if after is not None else None
        )
        entries, last = self._table.query(
            Expression("#member = :member", {"member": "member"}, {"member": user_id}),
            index=BY_MEMBER,
            limit=limit,
            forward=False,
            start=start,
        )
        keys = [{"pk": entry["pk"], "sk": entry["sk"]} for entry in entries]
        items = {item["pk"]: item for item in self._table.get_many(keys)}
        # The index may lag behind: what was anonymised a moment ago is nobody's any more.
        loans = [_loan(item) for key in keys if (item := items.get(key["pk"])) and item.get("member") == user_id]
        if last is None:
            return loans, None
        return loans, {"issued": last["issued"], "id": str(last["pk"]).removeprefix("LOAN#")}

    def issued_to(self, user_id: str, limit: int, after: Issued | None) -> tuple[list[Issued], Issued | None]:
        start = {"member": user_id, "issued": to_rfc3339(after.issued_at), **loan_key(after.loan_id)} if after else None
        entries, last = self._table.query(
            Expression("#member = :member", {"member": "member"}, {"member": user_id}),
            index=BY_MEMBER,
            limit=limit,
            start=start,
        )
        return [_issued(entry) for entry in entries], _issued(last) if last else None

    # -- the life of a loan -------------------------------------------------------------------

    def open_pending(self, loan: Loan, limit: int) -> None:
        put = Put(_item(loan), ABSENT)
        account_is_new = False
        for _ in range(_OPENING_ATTEMPTS):
            place = self._new_account(loan, limit) if account_is_new else _take_place(loan, limit)
            try:
                self._table.transact([put, place])
            except ConditionFailed as failed:
                if failed.index == 0 and failed.item is not None:
                    raise LoanExists(_loan(failed.item)) from failed
                # The account is missing (first loan ever), has appeared meanwhile, or is full.
                account_is_new = failed.item is None
                if failed.item is not None:
                    account = account_of(failed.item)
                    if account.erased_at is not None:
                        raise MemberGone from failed
                    if account.places_taken >= limit:
                        raise LimitReached from failed
                continue
            return
        raise TransactionBusy("the account kept changing")

    @staticmethod
    def _new_account(loan: Loan, limit: int) -> Put:
        if limit < 1:
            raise LimitReached
        return Put(
            {
                **account_key(loan.borrower),
                "open": {loan.id: to_rfc3339(loan.due_at)},
                "listed": ACCOUNTS,
                "since": to_rfc3339(loan.requested_at),
            },
            ABSENT,
        )

    def take_over(self, loan: Loan, leased: Loan) -> None:
        assert leased.lease_until is not None  # noqa: S101 - that is what leasing sets
        with _stale():
            self._table.update(
                loan_key(loan.id),
                Expression(
                    "SET #lease = :lease, #v = :v REMOVE #events",
                    {"lease": "lease", "v": "v", "events": OUTBOX_ATTRIBUTE},
                    {"lease": _epoch(leased.lease_until), "v": leased.version},
                ),
                # The lease too: withdrawn and asked for again with the same key, a loan begins at version 1 again.
                Expression(
                    "#status = :pending AND #v = :was_v AND (attribute_not_exists(#lease) OR #lease = :was_lease)",
                    {"status": "status", "v": "v", "lease": "lease"},
                    {
                        "pending": LoanStatus.PENDING.value,
                        "was_v": loan.version,
                        "was_lease": _epoch(loan.lease_until) if loan.lease_until else 0,
                    },
                ),
            )

    def activate(self, loan: Loan, events: Sequence[Envelope]) -> None:
        with _stale():
            self._table.update(loan_key(loan.id), _set_all(loan, events), _was(LoanStatus.PENDING, loan.version - 1))

    def cancel(self, loan: Loan) -> None:
        # A settling loan must outlive any outage of books; it gets its end when it is settled.
        expires = None if loan.settling else _expires(loan)
        with _stale():
            self._table.transact(
                [
                    Update(
                        loan_key(loan.id),
                        _set_all(loan, (), **{_EXPIRES: expires}),
                        _was(LoanStatus.PENDING, loan.version - 1),
                    ),
                    _give_place_back(loan),
                ]
            )

    def withdraw(self, loan: Loan) -> None:
        with _stale():
            self._table.transact(
                [Delete(loan_key(loan.id), _was(LoanStatus.PENDING, loan.version)), _give_place_back(loan)]
            )

    def close(self, loan: Loan, events: Sequence[Envelope]) -> None:
        with _stale():
            self._table.update(loan_key(loan.id), _set_all(loan, events), _was(LoanStatus.ACTIVE, loan.version - 1))

    def extend(self, loan: Loan, events: Sequence[Envelope]) -> None:
        due = Update(
            account_key(loan.borrower),
            Expression("SET #open.#loan = :due", {"open": "open", "loan": loan.id}, {"due": to_rfc3339(loan.due_at)}),
            _holds_place(loan),
        )
        with _stale():
            self._table.transact(
                [
                    Update(loan_key(loan.id), _set_all(loan, events), _was(LoanStatus.ACTIVE, loan.version - 1)),
                    due,
                ]
            )

    def give_back_place(self, loan: Loan) -> bool:
        place = _give_place_back(loan)
        try:
            account = self._table.update(place.key, place.update, _holds_place(loan))
        except ConditionFailed as failed:
            account = failed.item or {}  # given back already
        return "erased" in account

    def settled(self, loan: Loan) -> None:
        # The events were in an earlier image; left in place they would be published once more.
        done = "REMOVE #settling, #events"
        names = {"settling": "settling", "events": OUTBOX_ATTRIBUTE}
        if loan.status is LoanStatus.RETURNED:
            settle = Expression(done, names)
        else:
            settle = Expression(f"{done} SET #exp = :exp", {**names, "exp": _EXPIRES}, {"exp": _expires(loan)})
        try:
            self._table.update(
                loan_key(loan.id), settle, Expression("attribute_exists(#settling)", {"settling": "settling"})
            )
        except ConditionFailed:
            return  # settled already

    def anonymise(self, loan: Loan) -> None:
        with _stale():
            self._table.update(
                loan_key(loan.id),
                # Nobody is told: those who hear of loans keep what they have by rules of their own.
                _set_all(loan, ()),
                Expression(
                    "#status = :was_status AND #v = :was_version AND attribute_not_exists(#settling)",
                    {"status": "status", "v": "v", "settling": "settling"},
                    {"was_status": loan.status.value, "was_version": loan.version - 1},
                ),
            )


@contextmanager
def _stale() -> Iterator[None]:
    try:
        yield
    except ConditionFailed as failed:
        item = failed.item if failed.index == 0 else None
        raise Stale(_loan(item) if item else None) from failed


# -- expressions ------------------------------------------------------------------------------


def _take_place(loan: Loan, limit: int) -> Update:
    return Update(
        account_key(loan.borrower),
        Expression("SET #open.#loan = :due", {"open": "open", "loan": loan.id}, {"due": to_rfc3339(loan.due_at)}),
        Expression(
            "attribute_exists(#pk) AND attribute_not_exists(#erased) AND attribute_not_exists(#open.#loan)"
            " AND size(#open) < :limit",
            {"pk": "pk", "open": "open", "loan": loan.id, "erased": "erased"},
            {"limit": limit},
        ),
    )


def _give_place_back(loan: Loan) -> Update:
    return Update(
        account_key(loan.borrower),
        Expression("REMOVE #open.#loan", {"open": "open", "loan": loan.id}),
        PRESENT,
    )


def _holds_place(loan: Loan) -> Expression:
    return Expression("attribute_exists(#open.#loan)", {"open": "open", "loan": loan.id})


def _was(status: LoanStatus, version: int) -> Expression:
    return Expression(
        "#status = :was_status AND #v = :was_version",
        {"status": "status", "v": "v"},
        {"was_status": status.value, "was_version": version},
    )


def _set_all(loan: Loan, events: Sequence[Envelope], **more: object) -> Expression:
    """An update that makes the item exactly what `loan` is, with the events this very write causes."""
    wanted = {**_item(loan), OUTBOX_ATTRIBUTE: to_outbox(events), **more}
    values: dict[str, Any] = {}
    names: dict[str, str] = {}
    sets: list[str] = []
    removes: list[str] = []
    for attribute in (*_ATTRIBUTES, OUTBOX_ATTRIBUTE, *more):
        names[attribute] = attribute
        value = wanted.get(attribute)
        if value is None:
            removes.append(f"#{attribute}")
        else:
            sets.append(f"#{attribute} = :{attribute}")
            values[attribute] = value
    text = "SET " + ", ".join(sets) + (" REMOVE " + ", ".join(removes) if removes else "")
    return Expression(text, names, values)


# -- items ------------------------------------------------------------------------------------

_ATTRIBUTES = (
    "member",
    "role",
    "book",
    "status",
    "requested",
    "due",
    "v",
    "wanted",
    "barcode",
    "title",
    "genre",
    "issued",
    "first_due",
    "returned",
    "ext",
    "settling",
    "damaged",
    "lease",
    "digest",
    "refusal",
    "open_copy",
    "closed",
    "anonymised",
)


def loan_key(loan_id: str) -> dict[str, str]:
    return {"pk": f"LOAN#{loan_id}", "sk": "LOAN"}


def account_key(user_id: str) -> dict[str, str]:
    return {"pk": f"MEMBER#{user_id}", "sk": "ACCOUNT"}


def account_of(item: Mapping[str, Any]) -> Account:
    return Account(
        open={loan_id: from_rfc3339(due) for loan_id, due in item["open"].items()},
        since=_moment(item.get("since")),
        erased_at=_moment(item.get("erased")),
    )


def _item(loan: Loan) -> Item:
    """A loan as stored; false and empty attributes are left out to keep the item small."""
    return {
        **loan_key(loan.id),
        "member": loan.user_id,
        "role": loan.role,
        "book": loan.book_id,
        "status": loan.status.value,
        "requested": to_rfc3339(loan.requested_at),
        "due": to_rfc3339(loan.due_at),
        "v": loan.version,
        "wanted": loan.wanted_barcode,
        "barcode": loan.barcode,
        "title": loan.title,
        "genre": loan.genre,
        "issued": _text(loan.issued_at),
        "first_due": _text(loan.first_due_at),
        "returned": _text(loan.returned_at),
        "ext": loan.extensions or None,
        "settling": loan.settling or None,
        "damaged": loan.damaged or None,
        "lease": _epoch(loan.lease_until) if loan.lease_until else None,
        "digest": loan.request_digest,
        "refusal": list(loan.refusal) if loan.refusal else None,
        "open_copy": loan.barcode if loan.is_open else None,
        # Nearly always the moment of the return.
        "closed": _text(loan.closed_at) if _text(loan.closed_at) != _text(loan.returned_at) else None,
        "anonymised": _text(loan.anonymised_at),
    }


def _loan(item: Mapping[str, Any]) -> Loan:
    refusal = item.get("refusal")
    # Loans of before this was written down were closed when they were returned, as far as anybody knows.
    closed = item.get("closed") or item.get("returned")
    return Loan(
        id=str(item["pk"]).removeprefix("LOAN#"),
        user_id=None if item.get("anonymised") else item["member"],
        role=item["role"],
        book_id=item["book"],
        status=LoanStatus(item["status"]),
        requested_at=from_rfc3339(item["requested"]),
        due_at=from_rfc3339(item["due"]),
        version=item["v"],
        wanted_barcode=item.get("wanted"),
        barcode=item.get("barcode"),
        title=item.get("title"),
        genre=item.get("genre"),
        issued_at=_moment(item.get("issued")),
        first_due_at=_moment(item.get("first_due")),
        returned_at=_moment(item.get("returned")),
        closed_at=_moment(closed),
        extensions=item.get("ext", 0),
        settling=item.get("settling", False),
        damaged=item.get("damaged", False),
        lease_until=datetime.fromtimestamp(item["lease"], UTC) if item.get("lease") else None,
        request_digest=item.get("digest"),
        refusal=(refusal[0], refusal[1]) if refusal else None,
        anonymised_at=_moment(item.get("anonymised")),
    )


def _issued(entry: Mapping[str, Any]) -> Issued:
    return Issued(str(entry["pk"]).removeprefix("LOAN#"), from_rfc3339(entry["issued"]))


def unfinished_loan_id(image: Mapping[str, Any]) -> tuple[str, bool] | None:
    """For the stream: a loan's id and whether this image of it is unfinished; None for other items."""
    if image.get("sk") != "LOAN":
        return None
    # As Loan.is_unfinished, from no more than it takes: a loan that is damaged otherwise must not hold up the stream.
    unfinished = image.get("status") == LoanStatus.PENDING.value or bool(image.get("settling"))
    return str(image["pk"]).removeprefix("LOAN#"), unfinished


def _expires(loan: Loan) -> int:
    return _epoch(loan.requested_at + KEEP_CANCELLED)


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())


def _text(moment: datetime | None) -> str | None:
    return to_rfc3339(moment) if moment else None


def _moment(text: str | None) -> datetime | None:
    return from_rfc3339(text) if text else None
