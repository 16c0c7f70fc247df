"""What stands in the table, byte by byte: what the stream, the indexes, the TTL and the bill see."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from library_common.clock import to_rfc3339
from library_common.context import invocation
from library_common.dynamodb import Table, from_wire
from library_common.events import OUTBOX_ATTRIBUTE, Envelope, envelope_for, from_outbox, to_outbox
from library_common.ids import derived_id, new_id
from library_common.versions import VersionConflict
from loans_service.adapters.dynamodb import DynamoLoans
from loans_service.adapters.items import unfinished_loan_id
from loans_service.adapters.retention import DynamoAccounts
from loans_service.application.ports import ALWAYS_DUE, LimitReached, ListedMember
from loans_service.domain.events import LoanCreated, LoanReturned
from loans_service.domain.loan import LEASE, Condition, Copy, Loan
from loans_service.schemas import LoanView
from tests.adapter.loans.conftest import TABLE
from tests.adapter.loans.lives import DAY, LIMIT, MEMBER, cancelled, event, issued, opened, pending, released, returned
from tests.support.clock import NOON
from tests.support.tables import properties

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.adapter

type Attribute = Mapping[str, Any]


@pytest.fixture
def item(dynamodb: "DynamoDBClient") -> Callable[[Loan], dict[str, Any]]:
    """A loan's item as it is stored now; empty when there is none."""

    def read(loan: Loan) -> dict[str, Any]:
        answer = dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": f"LOAN#{loan.id}"}, "sk": {"S": "LOAN"}})
        return dict(answer.get("Item", {}))

    return read


def outbox(stored: Mapping[str, Any]) -> list[Envelope]:
    return from_outbox(from_wire(stored))


# -- the outbox -----------------------------------------------------------------------------------


def test_events_stand_in_the_image_of_the_write_that_caused_them_and_in_no_other(
    stored: DynamoLoans, item: Callable[[Loan], dict[str, Any]]
) -> None:
    loan = opened(stored)
    assert outbox(item(loan)) == []
    taken = loan.leased(NOON + LEASE)
    stored.take_over(loan, taken)
    assert outbox(item(loan)) == []

    active = taken.activated(Copy("C-1", "A title"), NOON)
    stored.activate(active, [created := event(active)])
    assert outbox(item(loan)) == [created]
    renewed = active.extended(active.due_at + DAY)
    stored.extend(renewed, [again := event(renewed)])
    assert outbox(item(loan)) == [again]
    closed = renewed.returned(NOON + DAY, Condition.GOOD)
    stored.close(closed, [first := event(closed), second := event(closed)])
    assert outbox(item(loan)) == [first, second]
    stored.give_back_place(closed)
    assert outbox(item(loan)) == [first, second], "another item"
    stored.mark_released(closed)
    assert OUTBOX_ATTRIBUTE not in item(loan)


@pytest.mark.parametrize("in_doubt", [True, False])
def test_a_cancelled_checkout_tells_nobody(
    stored: DynamoLoans, item: Callable[[Loan], dict[str, Any]], in_doubt: bool
) -> None:
    loan = cancelled(stored, in_doubt=in_doubt)
    assert OUTBOX_ATTRIBUTE not in item(loan)

    stored.mark_released(loan)
    assert OUTBOX_ATTRIBUTE not in item(loan)


def test_a_refused_write_leaves_the_image_before(stored: DynamoLoans, item: Callable[[Loan], dict[str, Any]]) -> None:
    loan = issued(stored)
    before = item(loan)

    with pytest.raises(VersionConflict):
        stored.activate(loan, [event(loan)])
    with pytest.raises(VersionConflict):
        stored.close(replace(loan, version=7), [event(loan)])

    assert item(loan) == before


# -- the indexes ----------------------------------------------------------------------------------


def test_the_indexes_hold_issued_loans_and_copies_that_are_out(stored: DynamoLoans, dynamodb: "DynamoDBClient") -> None:
    opened(stored)
    cancelled(stored)
    out, back = issued(stored), returned(stored)

    def indexed(index: str) -> set[str]:
        found = dynamodb.scan(TableName=TABLE, IndexName=index)["Items"]
        # Keys only: a change of anything else costs the index nothing.
        assert all(set(entry) <= {"pk", "sk", "member", "issued", "open_copy"} for entry in found)
        return {entry["pk"]["S"].removeprefix("LOAN#") for entry in found}

    assert indexed("by_open_copy") == {out.id}
    assert indexed("by_member") == {out.id, back.id}


# -- what an anonymised loan still holds ----------------------------------------------------------


def test_nothing_in_an_anonymised_loan_leads_to_its_member(
    stored: DynamoLoans, item: Callable[[Loan], dict[str, Any]], dynamodb: "DynamoDBClient"
) -> None:
    loan = lent(stored)
    with invocation(actor=f"user:{MEMBER}"):
        closed = loan.returned(NOON + DAY, Condition.DAMAGED, NOON + 2 * DAY)
        stored.close(closed, [event(closed)])
    stored.give_back_place(closed)
    stored.mark_released(closed)

    stored.anonymise(closed.released().anonymised(NOON + 200 * DAY))

    found = item(loan)
    assert set(found) == {
        *("pk", "sk", "role", "book", "status", "requested", "due", "version", "wanted", "barcode", "title", "genre"),
        *("issued", "returned", "closed", "damaged", "anonymised"),
    }
    assert found["anonymised"] == {"S": to_rfc3339(NOON + 200 * DAY)}
    assert MEMBER not in str(found)
    # By its index only `by_member` finds loans of somebody, and it does not hold this one.
    assert dynamodb.scan(TableName=TABLE, IndexName="by_member")["Items"] == []


def test_anonymising_takes_away_an_outbox_that_was_left_there(
    stored: DynamoLoans, item: Callable[[Loan], dict[str, Any]], dynamodb: "DynamoDBClient"
) -> None:
    loan = released(stored)
    key = {"pk": {"S": f"LOAN#{loan.id}"}, "sk": {"S": "LOAN"}}
    dynamodb.update_item(
        TableName=TABLE,
        Key=key,
        UpdateExpression="SET events = :e",
        ExpressionAttributeValues={":e": {"S": to_outbox([event(loan)]) or ""}},
    )

    stored.anonymise(loan.anonymised(NOON + DAY))

    assert OUTBOX_ATTRIBUTE not in item(loan)
    assert MEMBER not in str(item(loan))


def test_a_loan_of_before_closings_were_written_down_was_closed_when_it_was_returned(
    stored: DynamoLoans, item: Callable[[Loan], dict[str, Any]]
) -> None:
    loan = released(stored)

    assert "closed" not in item(loan), "as then: it is written only where it differs"
    found = stored.get(loan.id)
    assert found is not None
    assert found.closed_at == found.returned_at == NOON + DAY


def test_the_end_of_a_refused_checkout_stays_when_it_is_anonymised(
    stored: DynamoLoans, item: Callable[[Loan], dict[str, Any]]
) -> None:
    attribute = properties("LoansTable")["TimeToLiveSpecification"]["AttributeName"]
    loan = cancelled(stored)

    stored.anonymise(loan.anonymised(NOON))

    assert item(loan)[attribute] == {"N": str(int((NOON + timedelta(hours=24)).timestamp()))}


# -- names of older versions ----------------------------------------------------------------------

WRITES: list[tuple[Callable[[DynamoLoans], Loan], Callable[[DynamoLoans, Loan], None]]] = [
    (opened, lambda stored, loan: stored.take_over(loan, loan.leased(NOON + LEASE))),
    (opened, lambda stored, loan: stored.activate(loan.activated(Copy("C-1", "A title"), NOON), [])),
    (opened, lambda stored, loan: stored.cancel(loan.cancelled(("no_copies_available", "No."), copy_in_doubt=False))),
    (issued, lambda stored, loan: stored.close(loan.returned(NOON + DAY, Condition.GOOD), [])),
    (issued, lambda stored, loan: stored.extend(loan.extended(loan.due_at + DAY), [])),
    (released, lambda stored, loan: stored.anonymise(loan.anonymised(NOON + DAY))),
]


def with_old_version(stored: dict[str, Any]) -> dict[str, Any]:
    return {("v" if name == "version" else name): value for name, value in stored.items()}


@pytest.mark.parametrize(("make", "write"), WRITES)
def test_a_loan_with_the_old_names_is_read_and_gets_the_new_ones_with_its_next_write(
    stored: DynamoLoans,
    item: Callable[[Loan], dict[str, Any]],
    dynamodb: "DynamoDBClient",
    make: Callable[[DynamoLoans], Loan],
    write: Callable[[DynamoLoans, Loan], None],
) -> None:
    loan = make(stored)
    dynamodb.put_item(TableName=TABLE, Item={**with_old_version(item(loan)), "ext": {"N": "2"}})
    found = stored.get(loan.id)
    assert found == replace(loan, extensions=2)
    with pytest.raises(VersionConflict):
        write(stored, replace(found, version=loan.version + 1))

    write(stored, found)

    new = item(loan)
    assert new["version"] == {"N": str(loan.version + 1)}
    assert new["extensions"]["N"] in {"2", "3"}
    assert not {"v", "ext"} & set(new)


def test_an_unfinished_checkout_with_the_old_names_is_withdrawn(
    stored: DynamoLoans, item: Callable[[Loan], dict[str, Any]], dynamodb: "DynamoDBClient"
) -> None:
    loan = opened(stored)
    dynamodb.put_item(TableName=TABLE, Item=with_old_version(item(loan)))

    stored.withdraw(loan)

    assert item(loan) == {}


# -- accounts of before there was a list of them --------------------------------------------------


def test_an_account_that_is_in_no_list_is_found_by_the_walk_and_put_at_the_beginning(
    stored: DynamoLoans, dynamodb: "DynamoDBClient"
) -> None:
    accounts = DynamoAccounts(Table(TABLE, lambda: dynamodb))
    issued(stored)
    key = {"pk": {"S": f"MEMBER#{MEMBER}"}, "sk": {"S": "ACCOUNT"}}
    dynamodb.update_item(TableName=TABLE, Key=key, UpdateExpression="REMOVE listed, since")
    opened(stored)
    opened(stored, other := derived_id("other"))

    assert accounts.due(NOON, 10, None)[0] == [ListedMember(other, NOON)], "another loan does not put it there"
    assert accounts.unlisted(None) == ([MEMBER], None)
    for _ in range(2):
        accounts.add_to_list(MEMBER)
        assert accounts.due(NOON, 10, None)[0] == [ListedMember(MEMBER, ALWAYS_DUE), ListedMember(other, NOON)]
    assert accounts.unlisted(None) == ([], None)


# -- the end of what is kept for a while only -----------------------------------------------------


def test_a_refused_checkout_ends_a_day_after_it_was_asked_for(
    stored: DynamoLoans, item: Callable[[Loan], dict[str, Any]]
) -> None:
    attribute = properties("LoansTable")["TimeToLiveSpecification"]["AttributeName"]

    stored_item = item(cancelled(stored))

    assert stored_item[attribute] == {"N": str(int((NOON + timedelta(hours=24)).timestamp()))}


def test_what_is_not_released_yet_has_no_end(stored: DynamoLoans, item: Callable[[Loan], dict[str, Any]]) -> None:
    # Books may be down for longer than a day; were the loan gone by then, its copy would be lost.
    attribute = properties("LoansTable")["TimeToLiveSpecification"]["AttributeName"]
    loan = cancelled(stored, in_doubt=True)
    assert attribute not in item(loan)

    stored.mark_released(loan)

    assert item(loan)[attribute] == {"N": str(int((NOON + timedelta(hours=24)).timestamp()))}


def test_a_loan_that_came_about_has_no_end(stored: DynamoLoans, item: Callable[[Loan], dict[str, Any]]) -> None:
    attribute = properties("LoansTable")["TimeToLiveSpecification"]["AttributeName"]
    loan = returned(stored)
    assert attribute not in item(loan)

    stored.mark_released(loan)

    assert attribute not in item(loan)


# -- the stream -----------------------------------------------------------------------------------


def test_the_stream_carries_what_the_publisher_reads() -> None:
    assert properties("LoansTable")["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}


def test_an_image_says_whether_its_loan_is_unfinished(
    stored: DynamoLoans, item: Callable[[Loan], dict[str, Any]], dynamodb: "DynamoDBClient"
) -> None:
    for make in (opened, issued, returned, cancelled):
        loan = make(stored)
        assert unfinished_loan_id(from_wire(item(loan))) == (loan.id, loan.is_unfinished)
    doubtful = cancelled(stored, in_doubt=True)
    assert unfinished_loan_id(from_wire(item(doubtful))) == (doubtful.id, True)
    stored.mark_released(doubtful)
    assert unfinished_loan_id(from_wire(item(doubtful))) == (doubtful.id, False)

    account = dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": f"MEMBER#{MEMBER}"}, "sk": {"S": "ACCOUNT"}})["Item"]
    assert unfinished_loan_id(from_wire(account)) is None


# -- sizes: one write unit is 1024 bytes ----------------------------------------------------------


def size(attributes: Mapping[str, Attribute]) -> int:
    """As DynamoDB counts: names and values in UTF-8."""
    return sum(len(name.encode()) + _size(value) for name, value in attributes.items())


def _size(attribute: Attribute) -> int:
    ((kind, value),) = attribute.items()
    match kind:
        case "S":
            return len(value.encode())
        case "N":
            # One byte for two significant digits, and one more.
            return (len(value.strip("-").replace(".", "").strip("0")) + 1) // 2 + 1
        case "BOOL" | "NULL":
            return 1
        case "M":
            return 3 + len(value) + size(value)
        case "L":
            return 3 + len(value) + sum(_size(entry) for entry in value)
    raise TypeError(kind)


TITLE = "The Life and Strange Surprizing Adventures of Robinson Cruso"
BARCODE = "LIB-0000123456"


def lent(stored: DynamoLoans) -> Loan:
    """With everything a loan may carry: a key, a copy asked for, a person who did it."""
    loan = replace(pending(wanted=BARCODE), role="librarian")
    stored.open_pending(loan, LIMIT)
    active = loan.activated(Copy(BARCODE, TITLE, "novel"), NOON)
    told = LoanCreated(
        loan_id=loan.id,
        user_id=loan.borrower,
        book_id=loan.book_id,
        barcode=BARCODE,
        title=TITLE,
        genre="novel",
        role=loan.role,
        issue_date=to_rfc3339(NOON),
        due_date=to_rfc3339(loan.due_at),
    )
    with invocation(actor=f"user:{new_id()}"):
        stored.activate(active, [envelope_for(told, subject=f"loan:{loan.id}", at=NOON)])
    return active


def test_a_loan_with_the_event_of_its_checkout_is_one_write_unit(
    stored: DynamoLoans, item: Callable[[Loan], dict[str, Any]]
) -> None:
    assert len(TITLE) == 60

    loan_item = item(lent(stored))

    assert outbox(loan_item)[0].type == "LoanCreated"
    assert size(loan_item) < 1024


def test_a_returned_loan_with_its_event_is_one_write_unit_too(
    stored: DynamoLoans, item: Callable[[Loan], dict[str, Any]]
) -> None:
    loan = lent(stored).returned(NOON + DAY, Condition.DAMAGED)
    told = LoanReturned(
        loan_id=loan.id,
        user_id=loan.borrower,
        book_id=loan.book_id,
        barcode=BARCODE,
        title=TITLE,
        issue_date=to_rfc3339(NOON),
        due_date=to_rfc3339(loan.due_at),
        return_date=to_rfc3339(NOON + DAY),
        condition="damaged",
    )

    with invocation(actor=f"user:{new_id()}"):
        stored.close(loan, [envelope_for(told, subject=f"loan:{loan.id}", at=NOON)])

    assert size(item(loan)) < 1024


def test_the_account_of_a_member_with_ten_loans_is_one_write_unit(
    stored: DynamoLoans, dynamodb: "DynamoDBClient"
) -> None:
    for _ in range(10):
        stored.open_pending(pending(), 10)

    account = dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": f"MEMBER#{MEMBER}"}, "sk": {"S": "ACCOUNT"}})["Item"]

    assert len(account["open"]["M"]) == 10
    assert size(account) < 1024


# -- what the table does not keep -----------------------------------------------------------------


def test_the_answer_of_a_checkout_and_its_repetition_read_the_same_though_the_table_keeps_seconds_only(
    stored: DynamoLoans,
) -> None:
    odd = NOON + timedelta(microseconds=987_654)
    loan = replace(pending(at=odd), due_at=odd + 3 * DAY)
    stored.open_pending(loan, LIMIT)
    active = loan.activated(Copy(BARCODE, TITLE), odd + timedelta(milliseconds=100))
    stored.activate(active, [event(active)])

    def seen(shown: Loan) -> LoanView:
        return LoanView.of(shown, shown.status)

    found = stored.get(loan.id)
    assert found is not None
    assert seen(found.as_issued()) == seen(active)

    renewed = found.extended(found.due_at + DAY).extended(found.due_at + 2 * DAY)
    closed = renewed.returned(odd + DAY, Condition.DAMAGED)
    for later in (renewed, closed, closed.released()):
        assert seen(later.as_issued()) == seen(active)


# -- at the same moment ---------------------------------------------------------------------------


class Interrupted:
    """A client in front of which others come just before its n-th transaction."""

    def __init__(self, client: "DynamoDBClient", before: int, others: Callable[[], object]) -> None:
        self._client, self._before, self._others = client, before, others
        self.transactions = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def transact_write_items(self, **request: Any) -> Any:
        self.transactions += 1
        if self.transactions == self._before:
            self._others()
        return self._client.transact_write_items(**request)


@pytest.mark.parametrize("before", [1, 2])
def test_two_first_checkouts_of_a_member_at_the_same_moment_make_one_account(
    stored: DynamoLoans, dynamodb: "DynamoDBClient", before: int
) -> None:
    other = pending()
    client: Any = Interrupted(dynamodb, before, lambda: stored.open_pending(other, 2))
    loan = pending()

    DynamoLoans(Table(TABLE, lambda: client)).open_pending(loan, 2)

    assert set(stored.account(MEMBER).open) == {loan.id, other.id}


@pytest.mark.parametrize("before", [1, 2])
def test_of_two_first_checkouts_at_a_limit_of_one_one_is_refused(
    stored: DynamoLoans, dynamodb: "DynamoDBClient", before: int
) -> None:
    other = pending()
    client: Any = Interrupted(dynamodb, before, lambda: stored.open_pending(other, 1))
    loan = pending()

    with pytest.raises(LimitReached):
        DynamoLoans(Table(TABLE, lambda: client)).open_pending(loan, 1)

    assert set(stored.account(MEMBER).open) == {other.id}
    assert stored.get(loan.id) is None


def test_a_return_between_a_checkout_and_the_limit_makes_room(stored: DynamoLoans, dynamodb: "DynamoDBClient") -> None:
    earlier = returned(stored)
    client: Any = Interrupted(dynamodb, 1, lambda: stored.give_back_place(earlier))
    loan = pending()

    DynamoLoans(Table(TABLE, lambda: client)).open_pending(loan, 1)

    assert set(stored.account(MEMBER).open) == {loan.id}
