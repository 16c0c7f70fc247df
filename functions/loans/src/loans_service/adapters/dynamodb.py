"""The loans table.

    item                            pk              sk       written by
    a loan                          LOAN#<id>       LOAN     every step of its life, on the state before
    a member's account              MEMBER#<id>     ACCOUNT  places taken and given back; due dates
    progress of the retention job   RETENTION       ROUND    each page of a run, on the version before

    access                                          how                                   request units
    one loan                                        get, consistent                       1 read
    may the member borrow                           get the account, consistent           1 read
    the same, asked by the member                   + index by_member: the last hour      0.5 read
    open a PENDING loan and take a place            transaction of both items             4 write
    make the account with it, the first time ever   the same, + index by_since            5 write
    issue it                                        update + the two indexes              3-4 write
    anonymise it                                    update + index by_member              2 write
    a member's history, newest first                index by_member (keys), then batch get
    a member's loans, oldest first                  index by_member (keys), then get each
    a member's open loans                           account, then batch get: no index, always fresh
    the open loan of a copy                         index by_open_copy (keys), then get
    who may have loans to anonymise                 index by_since (keys), `adapters.retention`

Indexes hold keys only, so a change of status does not write them. All are sparse: `issued` appears when a loan is
issued, `open_copy` while the copy is out, so a PENDING or CANCELLED loan is in neither index. Anonymisation removes
`member`, and with it the loan's entry in by_member.

Sizes: a loan has 0.4 to 1 KB with its events; an account grows by about 50 bytes per open loan. Keys: every loan and
every account is a partition of its own, so no key gets more than the requests of one member. The account holds a map of
loan ids, not a counter: taking or giving back a place twice is harmless, and the map names the loans that take them.

Loans to anonymise are found by member, not by loan. `since` in an account says from when on there may be closed loans
that name the member (`Account.closed_loans_since`). It is written with the account, before the first loan, and only the
retention job moves it. So neither a return nor any checkout except a member's first pays for it, and a loan is covered
from the beginning. by_since has all accounts under one key (`listed`), oldest first. It is written at a member's first
checkout and about once per member and retention period, far below what one key takes (1,000 writes a second).

`listed` and `since` are key attributes of by_since and keep their names: under other names the index would have to be
built again, and every account be written for it.

Writes name the attributes they set, so everything else that a newer version stored in an item survives them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import (
    ABSENT,
    PRESENT,
    ConditionFailed,
    Delete,
    Expression,
    Put,
    Table,
    TransactionBusy,
    Update,
)
from library_common.events import OUTBOX_ATTRIBUTE, Envelope, to_outbox
from library_common.versions import VersionConflict
from loans_service.adapters.items import (
    OLD_NAMES,
    RELEASE_PENDING,
    account_key,
    account_of,
    attributes_of,
    epoch,
    loan_id_of,
    loan_key,
    loan_of,
    set_only,
    was_version,
)
from loans_service.application.ports import AccountErased, IssuedLoan, LimitReached, LoanExists
from loans_service.domain.loan import EMPTY_ACCOUNT, Account, Loan, LoanStatus

BY_MEMBER = "by_member"
BY_OPEN_COPY = "by_open_copy"

ACCOUNTS = "ACCOUNTS"
"""The one key of the index by_since."""

KEEP_CANCELLED = timedelta(hours=24)
"""How long a refused checkout is kept for repeats of its idempotency key."""

_OPENING_ATTEMPTS = 5
_EXPIRES = "expires_at_epoch"
_EVERY_WRITE = ("version", "extensions")  # those with an old name
_ACTIVATED = ("status", "barcode", "title", "genre", "issued", "open_copy", "lease")
_CANCELLED = ("status", "refusal", RELEASE_PENDING, "lease")
_CLOSED = ("status", "returned", "closed", "damaged", RELEASE_PENDING, "open_copy")
_EXTENDED = ("due", "first_due")
_ANONYMISED = ("member", "digest", "anonymised")


class DynamoLoans:
    """Implements `application.ports.Loans`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    # -- reading ------------------------------------------------------------------------------

    def get(self, loan_id: str) -> Loan | None:
        item = self._table.get(loan_key(loan_id))
        return loan_of(item) if item else None

    def get_all(self, loan_ids: Sequence[str]) -> list[Loan]:
        return [loan_of(item) for item in self._table.get_many([loan_key(loan_id) for loan_id in loan_ids])]

    def account(self, user_id: str) -> Account:
        item = self._table.get(account_key(user_id))
        return account_of(item) if item else EMPTY_ACCOUNT

    def open_loan_of_copy(self, barcode: str) -> Loan | None:
        found, _ = self._table.query(
            Expression("#copy = :copy", {"copy": "open_copy"}, {"copy": barcode}), index=BY_OPEN_COPY
        )
        for entry in found:
            # The index may be behind; the loan itself is read fresh.
            item = self._table.get({"pk": entry["pk"], "sk": entry["sk"]})
            if item and (loan := loan_of(item)).is_open and loan.barcode == barcode:
                return loan
        return None

    def history(self, user_id: str, limit: int, after: IssuedLoan | None) -> tuple[list[Loan], IssuedLoan | None]:
        entries, last = self._by_member(user_id, limit, after, forward=False)
        loans = {loan.id: loan for loan in self.get_all([entry.loan_id for entry in entries])}
        # The index may be behind: a loan that was just anonymised is left out.
        listed = [loan for entry in entries if (loan := loans.get(entry.loan_id)) and loan.user_id == user_id]
        return listed, last

    def issued_to(
        self, user_id: str, limit: int, after: IssuedLoan | None
    ) -> tuple[list[IssuedLoan], IssuedLoan | None]:
        return self._by_member(user_id, limit, after, forward=True)

    def _by_member(
        self, user_id: str, limit: int, after: IssuedLoan | None, *, forward: bool
    ) -> tuple[list[IssuedLoan], IssuedLoan | None]:
        start = {"member": user_id, "issued": to_rfc3339(after.issued_at), **loan_key(after.loan_id)} if after else None
        member = Expression("#member = :member", {"member": "member"}, {"member": user_id})
        entries, last = self._table.query(member, index=BY_MEMBER, limit=limit, forward=forward, start=start)
        return [_issued(entry) for entry in entries], _issued(last) if last else None

    # -- the life of a loan -------------------------------------------------------------------

    def open_pending(self, loan: Loan, limit: int) -> None:
        put = Put({**loan_key(loan.id), **attributes_of(loan)}, ABSENT)
        account_is_new = False
        for _ in range(_OPENING_ATTEMPTS):
            place = _new_account(loan) if account_is_new else _take_place(loan, limit)
            try:
                self._table.transact([put, place])
            except ConditionFailed as failed:
                if failed.index == 0 and failed.item is not None:
                    raise LoanExists(loan_of(failed.item)) from failed
                # The account is missing (first loan ever), was just made by another request, or is full.
                account_is_new = failed.item is None
                account = account_of(failed.item) if failed.item is not None else EMPTY_ACCOUNT
                if account.erased_at is not None:
                    raise AccountErased from failed
                if account.places_taken >= limit:
                    raise LimitReached from failed
            else:
                return
        raise TransactionBusy("the account kept changing")

    def take_over(self, loan: Loan, leased: Loan) -> None:
        # The lease is part of the condition: a loan that was withdrawn and requested again with the same key is at
        # version 1 again.
        lease_is_as_read = Expression(
            "(attribute_not_exists(#lease) OR #lease = :was_lease)",
            {"lease": "lease"},
            {"was_lease": epoch(loan.lease_until) if loan.lease_until else 0},
        )
        self._change(leased, ("lease",), _all(_was(LoanStatus.PENDING, loan.version), lease_is_as_read))

    def activate(self, loan: Loan, events: Sequence[Envelope]) -> None:
        self._change(loan, _ACTIVATED, _was(LoanStatus.PENDING, loan.version - 1), events)

    def cancel(self, loan: Loan) -> None:
        # While its release is pending, a loan must outlast any outage of books; it expires once it is released.
        expires = None if loan.release_pending else _expires(loan)
        update = _set(_CANCELLED, loan, more={_EXPIRES: expires})
        with _conflicts():
            cancellation = Update(loan_key(loan.id), update, _was(LoanStatus.PENDING, loan.version - 1))
            self._table.transact([cancellation, _give_place_back(loan)])

    def withdraw(self, loan: Loan) -> None:
        with _conflicts():
            removal = Delete(loan_key(loan.id), _was(LoanStatus.PENDING, loan.version))
            self._table.transact([removal, _give_place_back(loan)])

    def close(self, loan: Loan, events: Sequence[Envelope]) -> None:
        self._change(loan, _CLOSED, _was(LoanStatus.ACTIVE, loan.version - 1), events)

    def extend(self, loan: Loan, events: Sequence[Envelope]) -> None:
        due = _set_place(loan, _holds_place(loan))
        update = _set(_EXTENDED, loan, events)
        with _conflicts():
            self._table.transact([Update(loan_key(loan.id), update, _was(LoanStatus.ACTIVE, loan.version - 1)), due])

    def give_back_place(self, loan: Loan) -> bool:
        place = _give_place_back(loan)
        try:
            account = self._table.update(place.key, place.update, _holds_place(loan))
        except ConditionFailed as failed:
            account = failed.item or {}  # given back already
        return "erased" in account

    def mark_released(self, loan: Loan) -> None:
        expires = {} if loan.status is LoanStatus.RETURNED else {_EXPIRES: _expires(loan)}
        # The events were in an earlier image; if they stayed, they would be published again.
        update = set_only(expires, remove=(RELEASE_PENDING, OUTBOX_ATTRIBUTE))
        is_pending = Expression(
            "attribute_exists(#pending) AND #status IN (:returned, :cancelled)",
            {"pending": RELEASE_PENDING, "status": "status"},
            {"returned": LoanStatus.RETURNED.value, "cancelled": LoanStatus.CANCELLED.value},
        )
        with suppress(ConditionFailed):  # done already
            self._table.update(loan_key(loan.id), update, is_pending)

    def anonymise(self, loan: Loan) -> None:
        is_released = Expression("attribute_not_exists(#pending)", {"pending": RELEASE_PENDING})
        # No event: consumers of loan events keep what they have by rules of their own.
        self._change(loan, _ANONYMISED, _all(_was(loan.status, loan.version - 1), is_released))

    def _change(
        self, loan: Loan, changed: Sequence[str], condition: Expression, events: Sequence[Envelope] = ()
    ) -> None:
        with _conflicts():
            self._table.update(loan_key(loan.id), _set(changed, loan, events), condition)


@contextmanager
def _conflicts() -> Iterator[None]:
    try:
        yield
    except ConditionFailed as failed:
        item = failed.item if failed.index == 0 else None
        raise VersionConflict(loan_of(item) if item else None) from failed


# -- expressions ------------------------------------------------------------------------------


def _new_account(loan: Loan) -> Put:
    place = {loan.id: to_rfc3339(loan.due_at)}
    listed = {"listed": ACCOUNTS, "since": to_rfc3339(loan.requested_at)}
    return Put({**account_key(loan.borrower), "open": place, **listed}, ABSENT)


def _take_place(loan: Loan, limit: int) -> Update:
    has_room = Expression(
        "attribute_exists(#pk) AND attribute_not_exists(#erased) AND attribute_not_exists(#open.#loan)"
        " AND size(#open) < :limit",
        {"pk": "pk", "open": "open", "loan": loan.id, "erased": "erased"},
        {"limit": limit},
    )
    return _set_place(loan, has_room)


def _set_place(loan: Loan, condition: Expression) -> Update:
    names, values = {"open": "open", "loan": loan.id}, {"due": to_rfc3339(loan.due_at)}
    return Update(account_key(loan.borrower), Expression("SET #open.#loan = :due", names, values), condition)


def _give_place_back(loan: Loan) -> Update:
    update = Expression("REMOVE #open.#loan", {"open": "open", "loan": loan.id})
    return Update(account_key(loan.borrower), update, PRESENT)


def _holds_place(loan: Loan) -> Expression:
    return Expression("attribute_exists(#open.#loan)", {"open": "open", "loan": loan.id})


def _was(status: str, version: int) -> Expression:
    return _all(
        Expression("#status = :was_status", {"status": "status"}, {"was_status": str(status)}), was_version(version)
    )


def _all(*conditions: Expression) -> Expression:
    names = {name: attribute for condition in conditions for name, attribute in condition.names.items()}
    values = {name: value for condition in conditions for name, value in condition.values.items()}
    return Expression(" AND ".join(condition.text for condition in conditions), names, values)


def _set(
    changed: Sequence[str], loan: Loan, events: Sequence[Envelope] = (), more: Mapping[str, object] | None = None
) -> Expression:
    """An update of the changed attributes, with the events of this very write. Renames old attributes."""
    attributes = attributes_of(loan)
    update = {name: attributes[name] for name in (*_EVERY_WRITE, *changed)}
    return set_only({**update, OUTBOX_ATTRIBUTE: to_outbox(events), **(more or {})}, remove=OLD_NAMES.values())


def _issued(entry: Mapping[str, Any]) -> IssuedLoan:
    return IssuedLoan(from_rfc3339(entry["issued"]), loan_id_of(entry))


def _expires(loan: Loan) -> int:
    return epoch(loan.requested_at + KEEP_CANCELLED)
