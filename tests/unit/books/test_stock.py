"""The rules about the copies of one title."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from books_service.domain.errors import (
    BookArchived,
    CopiesInUse,
    CopiesOut,
    CopyNotAvailable,
    CopyNotFound,
    CopyOnLoan,
    ExceedsStock,
    LoanAlreadyReleased,
    LoanHoldsAnotherCopy,
    NoCopiesAvailable,
    TooManyCopies,
)
from books_service.domain.stock import (
    CLOCK_MARGIN_SECONDS,
    LATE_REQUEST_SECONDS,
    MAX_COPIES,
    MAX_EXPIRED_AT_ONCE,
    OUT,
    Copy,
    CopyStatus,
    CopyStatusChange,
    Held,
    Stock,
)
from tests.support.clock import NOON

pytestmark = pytest.mark.unit

NOW = int(NOON.timestamp())
HOUR = timedelta(seconds=LATE_REQUEST_SECONDS)
AVAILABLE, ON_LOAN, LOST = CopyStatus.AVAILABLE, CopyStatus.ON_LOAN, CopyStatus.LOST
DAMAGED, WITHDRAWN = CopyStatus.DAMAGED, CopyStatus.WITHDRAWN


def stock_of(*states: CopyStatus, archived: bool = False, released: dict[str, int] | None = None) -> Stock:
    """Copies c0, c1, …; those on loan are held by loans L0, L1, … since an age ago."""
    copies = {f"c{n}": Copy(f"c{n}", state) for n, state in enumerate(states)}
    held = {f"L{n}": Held(f"c{n}", NOW - 999_999) for n, state in enumerate(states) if state is ON_LOAN}
    return Stock("b", "t", copies, held, released or {}, archived)


@st.composite
def stocks(draw: st.DrawFn) -> Stock:
    return stock_of(*draw(st.lists(st.sampled_from(list(CopyStatus)), max_size=12)))


def first(barcodes: object) -> str:
    assert isinstance(barcodes, list)
    return str(barcodes[0])


class TestReserving:
    def test_takes_any_available_copy(self) -> None:
        offered: list[str] = []

        def last(barcodes: object) -> str:
            assert isinstance(barcodes, list)
            offered.extend(barcodes)
            return str(barcodes[-1])

        reservation = stock_of(AVAILABLE, LOST, AVAILABLE).reserve("L", barcode=None, choose=last, now=NOON)

        assert offered == ["c0", "c2"]
        assert reservation.held == Held("c2", NOW)
        assert reservation.changes == [CopyStatusChange("c2", AVAILABLE, ON_LOAN)]
        assert not reservation.repeated

    def test_takes_the_copy_asked_for(self) -> None:
        reservation = stock_of(AVAILABLE, AVAILABLE).reserve("L", barcode="c1", choose=first, now=NOON)
        assert reservation.held.barcode == "c1"

    @pytest.mark.parametrize("barcode", [None, "c0"])
    def test_a_loan_that_holds_a_copy_keeps_it_even_when_archived(self, barcode: str | None) -> None:
        stock = stock_of(ON_LOAN, AVAILABLE, archived=True)
        reservation = stock.reserve("L0", barcode=barcode, choose=first, now=NOON)
        assert reservation.repeated
        assert reservation.held.barcode == "c0"

    def test_a_loan_never_gets_a_second_copy(self) -> None:
        with pytest.raises(LoanHoldsAnotherCopy) as refused:
            stock_of(ON_LOAN, AVAILABLE).reserve("L0", barcode="c1", choose=first, now=NOON)
        assert refused.value.extra == {"held_barcode": "c0"}

    @pytest.mark.parametrize("until", [NOW + 1, NOW - 1])
    def test_a_released_loan_is_refused(self, until: int) -> None:
        with pytest.raises(LoanAlreadyReleased):
            stock_of(AVAILABLE, released={"L": until}).reserve("L", barcode=None, choose=first, now=NOON)

    def test_nothing_is_lent_of_an_archived_title(self) -> None:
        with pytest.raises(BookArchived):
            stock_of(AVAILABLE, archived=True).reserve("L", barcode=None, choose=first, now=NOON)

    @pytest.mark.parametrize("state", [s for s in CopyStatus if s is not AVAILABLE])
    def test_only_available_copies_are_lent(self, state: CopyStatus) -> None:
        with pytest.raises(NoCopiesAvailable):
            stock_of(state).reserve("L", barcode=None, choose=first, now=NOON)
        with pytest.raises(CopyNotAvailable) as refused:
            stock_of(state).reserve("L", barcode="c0", choose=first, now=NOON)
        assert refused.value.extra == {"copy_status": state}

    def test_another_titles_barcode_is_not_found(self) -> None:
        with pytest.raises(CopyNotFound):
            stock_of(AVAILABLE).reserve("L", barcode="c9", choose=first, now=NOON)

    def test_removes_expired_releases_a_few_at_a_time(self) -> None:
        released = {f"G{n}": NOW - n for n in range(MAX_EXPIRED_AT_ONCE + 5)} | {"young": NOW + 1}
        reservation = stock_of(AVAILABLE, released=released).reserve("L", barcode=None, choose=first, now=NOON)
        assert len(reservation.expired) == MAX_EXPIRED_AT_ONCE
        assert "young" not in reservation.expired
        assert "G0" not in reservation.expired, "the oldest go first"


class TestRefusing:
    """A refusal is final for its loan: the same request, delivered again, finds no copy either."""

    @pytest.mark.parametrize(
        ("valid_for", "remembered_for"),
        [
            (None, LATE_REQUEST_SECONDS),
            (timedelta(seconds=30), 30 + CLOCK_MARGIN_SECONDS),
            (HOUR * 5, LATE_REQUEST_SECONDS),
        ],
    )
    def test_is_remembered_as_long_as_the_request_may_come_again(
        self, valid_for: timedelta | None, remembered_for: int
    ) -> None:
        valid_until = NOON + valid_for if valid_for is not None else None
        refused = stock_of(ON_LOAN).refuse("L", valid_until=valid_until, now=NOON)
        assert refused.remember_until == NOW + remembered_for
        assert refused.held is None
        assert not refused.repeated

    def test_is_remembered_once(self) -> None:
        assert stock_of(ON_LOAN, released={"L": NOW + 1}).refuse("L", valid_until=None, now=NOON).repeated

    def test_says_the_same_again_while_it_is_so(self) -> None:
        with pytest.raises(NoCopiesAvailable):
            stock_of(ON_LOAN, released={"L": NOW + 1}).reserve("L", barcode=None, choose=first, now=NOON)


class TestReleasing:
    def test_brings_the_copy_back(self) -> None:
        release = stock_of(ON_LOAN).release("L0", barcode=None, damaged=False, now=NOON)
        assert release.changes == [CopyStatusChange("c0", ON_LOAN, AVAILABLE)]
        assert not release.repeated

    def test_a_damaged_copy_does_not_go_back_on_the_shelf(self) -> None:
        release = stock_of(ON_LOAN).release("L0", barcode="c0", damaged=True, now=NOON)
        assert release.changes == [CopyStatusChange("c0", ON_LOAN, DAMAGED)]

    @pytest.mark.parametrize("state", [LOST, DAMAGED, WITHDRAWN])
    @pytest.mark.parametrize("damaged", [False, True])
    def test_what_was_said_of_the_copy_meanwhile_stays(self, state: CopyStatus, damaged: bool) -> None:
        stock = Stock("b", "t", {"c0": Copy("c0", state)}, {"L0": Held("c0", NOW)})
        release = stock.release("L0", barcode=None, damaged=damaged, now=NOON)
        assert release.held == Held("c0", NOW)
        assert release.after == state
        assert release.changes == []

    def test_of_another_copy_is_refused(self) -> None:
        with pytest.raises(LoanHoldsAnotherCopy):
            stock_of(ON_LOAN).release("L0", barcode="c7", damaged=False, now=NOON)

    def test_of_nothing_is_remembered(self) -> None:
        release = stock_of(AVAILABLE).release("L", barcode="c0", damaged=False, now=NOON)
        assert release.held is None
        assert release.remember_until == NOW + LATE_REQUEST_SECONDS
        assert not release.repeated

    def test_of_nothing_again_writes_nothing(self) -> None:
        assert stock_of(AVAILABLE, released={"L": NOW - 5}).release("L", barcode=None, damaged=False, now=NOON).repeated

    @pytest.mark.parametrize(
        ("age", "remembered"), [(timedelta(), True), (HOUR - timedelta(seconds=1), True), (HOUR, False)]
    )
    def test_is_remembered_while_a_late_reservation_is_possible(self, age: timedelta, remembered: bool) -> None:
        stock = Stock("b", "t", {"c0": Copy("c0", ON_LOAN)}, {"L0": Held("c0", NOW)})
        release = stock.release("L0", barcode=None, damaged=False, now=NOON + age)
        assert (release.remember_until is not None) is remembered


class TestTheNumberOfCopies:
    def test_adding(self) -> None:
        stock = stock_of(AVAILABLE).add([Copy("n1"), Copy("n2")])
        assert stock.total == stock.available == 3

    def test_a_title_has_a_bounded_number_of_copies(self) -> None:
        full = Stock("b", "t", {str(n): Copy(str(n)) for n in range(MAX_COPIES)})
        with pytest.raises(TooManyCopies):
            full.add([Copy("one more")])
        assert full.remove(1).add([Copy("one more")]).total == MAX_COPIES

    def test_nothing_is_added_to_an_archived_title(self) -> None:
        with pytest.raises(BookArchived):
            stock_of(archived=True).add([Copy("n")])

    def test_removing_starts_with_what_is_not_on_the_shelf(self) -> None:
        stock = stock_of(DAMAGED, LOST, ON_LOAN, WITHDRAWN, AVAILABLE)
        gone = []
        for _ in range(4):
            after = stock.remove(1)
            gone += [change.previous for change in after.changes_since(stock)]
            stock = after
        assert gone == [WITHDRAWN, LOST, DAMAGED, AVAILABLE]
        with pytest.raises(CopiesInUse) as refused:
            stock.remove(1)
        assert refused.value.extra == {"in_use": 1}

    @given(stocks(), st.integers(0, 12))
    def test_removing_is_exact_or_refused(self, stock: Stock, number: int) -> None:
        if number > stock.total - stock.in_use:
            with pytest.raises(CopiesInUse):
                stock.remove(number)
            return
        after = stock.remove(number)
        assert after.total == stock.total - number
        assert after.out == stock.out, "lent copies stay"

    def test_a_lost_copy_a_loan_answers_for_is_in_use(self) -> None:
        stock = Stock("b", "t", {"c0": Copy("c0", LOST)}, {"L0": Held("c0", NOW)})
        assert (stock.out, stock.in_use) == (0, 1)
        with pytest.raises(CopiesInUse):
            stock.remove(1)
        with pytest.raises(ExceedsStock):
            stock.with_available(1)
        with pytest.raises(CopyOnLoan):
            stock.with_copy(Copy("c0", AVAILABLE))
        with pytest.raises(CopiesOut):
            stock.archive()


class TestTheShelfCount:
    @given(stocks(), st.integers(0, 12))
    def test_correcting_is_exact_or_refused(self, stock: Stock, number: int) -> None:
        if number > stock.total - stock.out:
            with pytest.raises(ExceedsStock) as refused:
                stock.with_available(number)
            assert refused.value.extra == {"at_most": stock.total - stock.out}
            return
        after = stock.with_available(number)
        assert after.available == number
        assert after.total == stock.total
        assert {b for b, c in after.copies.items() if c.status in OUT} == {
            b for b, c in stock.copies.items() if c.status in OUT
        }
        assert after.with_available(number) is after, "saying it again changes nothing"

    def test_missing_copies_are_lost(self) -> None:
        after = stock_of(AVAILABLE, AVAILABLE, AVAILABLE).with_available(1)
        assert after.by_status()[LOST] == 2

    def test_copies_that_turn_up_were_lost_first_of_all(self) -> None:
        stock = stock_of(WITHDRAWN, DAMAGED, LOST)
        turned_up = []
        for number in (1, 2, 3):
            after = stock.with_available(number)
            turned_up += [change.previous for change in after.changes_since(stock)]
            stock = after
        assert turned_up == [LOST, DAMAGED, WITHDRAWN]

    @given(stocks())
    def test_every_copy_is_counted_once(self, stock: Stock) -> None:
        counted = stock.by_status()
        assert set(counted) == set(CopyStatus)
        assert sum(counted.values()) == stock.total
        assert counted[AVAILABLE] == stock.available
        assert sum(counted[status] for status in OUT) == stock.out


class TestSettingACopyRight:
    def test_state_and_shelf(self) -> None:
        after = stock_of(AVAILABLE).with_copy(Copy("c0", DAMAGED, "B 2"))
        assert after.copies["c0"] == Copy("c0", DAMAGED, "B 2")

    @pytest.mark.parametrize("state", sorted(OUT))
    def test_not_while_it_is_lent_or_promised(self, state: CopyStatus) -> None:
        with pytest.raises(CopyOnLoan):
            stock_of(state).with_copy(Copy("c0", LOST))
        assert stock_of(state).with_copy(Copy("c0", state, "B 2")).copies["c0"].shelf == "B 2"

    def test_the_same_again_changes_nothing(self) -> None:
        stock = stock_of(LOST)
        assert stock.with_copy(Copy("c0", LOST)) is stock


class TestArchiving:
    def test_and_restoring(self) -> None:
        archived = stock_of(AVAILABLE, LOST).archive()
        assert archived.archived
        assert archived.archive() is archived
        assert not archived.restore().archived
        assert (restored := archived.restore()).restore() is restored

    @pytest.mark.parametrize("state", sorted(OUT))
    def test_not_while_copies_are_out(self, state: CopyStatus) -> None:
        with pytest.raises(CopiesOut):
            stock_of(AVAILABLE, state).archive()


def test_changes_say_what_is_new_what_is_gone_and_what_moved() -> None:
    before = stock_of(WITHDRAWN, LOST, ON_LOAN)
    after = before.remove(1).with_copy(Copy("c1", AVAILABLE)).add([Copy("n")])
    assert after.changes_since(before) == [
        CopyStatusChange("c0", WITHDRAWN, None),
        CopyStatusChange("c1", LOST, AVAILABLE),
        CopyStatusChange("n", None, AVAILABLE),
    ]


@given(stocks())
def test_every_edit_is_a_new_version(stock: Stock) -> None:
    edits: list[Callable[[], Stock]] = [
        lambda: stock.add([Copy("n")]),
        lambda: stock.remove(1),
        lambda: stock.with_available(0),
        lambda: stock.titled("another", None),
        stock.archive,
    ]
    for edit in edits:
        with suppress(CopiesInUse, CopiesOut):
            after = edit()
            assert after is stock or after.version > stock.version


def test_the_stock_follows_title_and_genre_and_is_the_same_when_neither_differs() -> None:
    stock = Stock("b", "t")

    described = stock.titled("x" * 200, "novel")

    assert (described.title, described.genre, described.version) == ("x" * 99 + "…", "novel", 2)
    assert described.titled("x" * 200, "novel") is described
    assert described.titled("x" * 200, None).genre is None
    assert described.add([Copy("c")]).genre == "novel", "whatever else happens to the copies"


class TestAStatusOfANewerVersion:
    """It is shown, and counts as in use: the copy is not lent, removed or changed by hand."""

    STOCK = Stock("b", "t", {"c0": Copy("c0", "in_repair", "A 1", {"since_when": 7})})

    def test_is_counted_and_not_available(self) -> None:
        counted = self.STOCK.by_status()
        assert counted["in_repair"] == 1
        assert set(counted) == {*CopyStatus, "in_repair"}
        assert (self.STOCK.total, self.STOCK.available, self.STOCK.in_use) == (1, 0, 1)

    def test_is_not_lent(self) -> None:
        with pytest.raises(NoCopiesAvailable):
            self.STOCK.reserve("L", barcode=None, choose=first, now=NOON)
        with pytest.raises(CopyNotAvailable) as refused:
            self.STOCK.reserve("L", barcode="c0", choose=first, now=NOON)
        assert refused.value.extra == {"copy_status": "in_repair"}

    def test_is_not_changed_by_hand(self) -> None:
        with pytest.raises(CopyOnLoan) as refused:
            self.STOCK.with_copy(Copy("c0", AVAILABLE))
        assert refused.value.extra == {"copy_status": "in_repair"}
        with pytest.raises(CopiesInUse):
            self.STOCK.remove(1)
        with pytest.raises(ExceedsStock):
            self.STOCK.with_available(1)
        with pytest.raises(CopiesOut):
            self.STOCK.archive()

    def test_its_shelf_can_be_changed(self) -> None:
        moved = self.STOCK.with_copy(replace(self.STOCK.copies["c0"], shelf="B 2"))
        assert moved.copies["c0"] == Copy("c0", "in_repair", "B 2", {"since_when": 7})

    def test_stays_when_the_loan_is_released(self) -> None:
        stock = replace(self.STOCK, held={"L0": Held("c0", NOW)})
        release = stock.release("L0", barcode=None, damaged=False, now=NOON)
        assert (release.before, release.after, release.changes) == ("in_repair", "in_repair", [])
