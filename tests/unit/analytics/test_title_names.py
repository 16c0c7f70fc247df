"""Titles that no event has named: asked for once, a few at a time, and never at the expense of a report."""

from datetime import date, timedelta

import pytest

from analytics_service.application.ports import Entry, Generations
from analytics_service.application.title_names import MOST_ASKED, NOT_AGAIN_SECONDS, SECONDS
from analytics_service.domain.counters import COPIES, TITLES, CounterKey, Kind
from analytics_service.domain.days import Span
from analytics_service.domain.facts import FactKey, FactKind, TitleFact
from analytics_service.schemas import Title
from library_common.versions import VersionConflict
from tests.fakes.analytics import Counting, added, created, event

pytestmark = pytest.mark.unit

NOVEMBER = Span(date(2026, 11, 1), date(2026, 11, 30))


@pytest.fixture
def counting() -> Counting:
    """Two loans of B1 and one of B2, which were in the catalogue before anybody counted."""
    counting = Counting()
    lend(counting, "B1", "B1", "B2")
    counting.catalogue.add("B1", version=7, title="Middlemarch", author="George Eliot", genre="Novel")
    counting.catalogue.add("B2", version=2, title="Kindred", author="Octavia Butler", genre=None)
    return counting


def lend(counting: Counting, *books: str) -> None:
    counting.apply_events.apply(
        [
            created(f"{book}-{place}", "2026-11-03T09:00:00Z", "2026-11-17T20:59:59Z", book=book)
            for place, book in enumerate(books)
        ]
    )


def popular(counting: Counting, limit: int = 20) -> list[Title]:
    return counting.reports.popular_titles(NOVEMBER, limit).items


def named(counting: Counting, limit: int = 20) -> list[tuple[str, str, str]]:
    return [(item.title, item.author, item.genre) for item in popular(counting, limit)]


def title(counting: Counting, book_id: str, generation: int = 1) -> TitleFact:
    fact = counting.ledger.facts_of(generation)[FactKey(FactKind.TITLE, book_id)]
    assert isinstance(fact, TitleFact)
    return fact


BOTH = [("Middlemarch", "George Eliot", "novel"), ("Kindred", "Octavia Butler", "unknown")]


def test_a_report_asks_for_the_names_it_lacks_and_then_never_again(counting: Counting) -> None:
    assert named(counting) == BOTH
    assert named(counting) == BOTH

    assert counting.catalogue.asked == ["B1", "B2"]
    assert (title(counting, "B1").title, title(counting, "B1").version) == ("Middlemarch", 7)


def test_the_dashboard_and_what_is_waited_for_have_names_too(counting: Counting) -> None:
    counting.clock.moment = counting.clock.moment.replace(day=4)
    hold = {"reservation_id": "H1", "user_id": "U1", "book_id": "B2"}
    counting.apply_events.apply([event("BookReserved", "2026-11-03T09:00:00Z", **hold)])

    assert [item.title for item in counting.reports.dashboard().top_titles] == ["Middlemarch", "Kindred"]
    counting.catalogue.asked.clear()
    assert [item.title for item in counting.reports.holds_pressure(NOVEMBER, 5).items] == ["Kindred"]
    assert counting.catalogue.asked == []


def test_what_an_event_has_named_is_not_asked_for(counting: Counting) -> None:
    counting.apply_events.apply([added("B1", 1, title="As told"), added("B2", 1, title="Told as well")])

    assert [item.title for item in popular(counting)] == ["As told", "Told as well"]
    assert counting.catalogue.asked == []


@pytest.mark.parametrize("asks_first", [True, False])
def test_the_newest_version_stands_whether_told_or_asked(counting: Counting, asks_first: bool) -> None:
    described = {"book_id": "B1", "author": "M. A. Evans", "genre": "Classics"}
    newer = event("BookUpdated", "2026-11-20T09:00:00Z", book_version=8, title="Middlemarch, revised", **described)
    lost_and_found = added("B1", 3, title="Midlemarch", genre="Misprint")
    if asks_first:
        popular(counting)
    counting.apply_events.apply([lost_and_found, newer])
    counting.apply_events.describe([counting.catalogue.titles["B1"]])

    assert title(counting, "B1").title == "Middlemarch, revised"
    assert named(counting)[0] == ("Middlemarch, revised", "M. A. Evans", "classics")
    # How many copies there are only events say; their genre is the newest one.
    assert counting.ledger.sums()[CounterKey(Kind.HOLDINGS, of="classics")] == {TITLES: 1, COPIES: 3}
    assert counting.ledger.sums() == counting.ledger.contributed(counting.calendar)


def test_a_name_that_was_asked_for_counts_no_copies(counting: Counting) -> None:
    before = counting.ledger.sums()

    popular(counting)

    assert counting.ledger.sums() == before == counting.ledger.contributed(counting.calendar)
    turnover = counting.reports.turnover(NOVEMBER)
    assert (turnover.titles, turnover.copies) == (0, 0)


def test_an_outage_leaves_names_out_and_nothing_else(counting: Counting) -> None:
    counting.catalogue.is_down = True

    assert [(item.title, item.author, item.loans) for item in popular(counting)] == [("", "", 2), ("", "", 1)]
    # One that does not answer for a title does not answer for the next, either.
    assert counting.catalogue.asked == ["B1"]

    counting.catalogue.is_down = False
    assert named(counting) == BOTH


def test_names_that_came_before_an_outage_are_kept(counting: Counting) -> None:
    def fails_from_the_second_on(_deadline: float) -> None:
        counting.catalogue.is_down = len(counting.catalogue.asked) > 1

    counting.catalogue.before_answer = fails_from_the_second_on

    assert [item.title for item in popular(counting)] == ["Middlemarch", ""]
    assert title(counting, "B1").title == "Middlemarch"


def test_a_report_asks_for_so_many_and_the_next_one_for_the_rest(counting: Counting) -> None:
    books = [f"C{number:02d}" for number in range(MOST_ASKED + 3)]
    lend(counting, *(book for book in books for _ in range(3)))
    for book in books:
        counting.catalogue.add(book, title=f"Title {book}")

    first = [bool(item.title) for item in popular(counting, len(books))]
    second = [bool(item.title) for item in popular(counting, len(books))]

    assert (sum(first), sum(second)) == (MOST_ASKED, len(books))
    assert sorted(counting.catalogue.asked) == books


def test_all_names_of_a_report_have_one_deadline(counting: Counting) -> None:
    deadlines: list[float] = []
    started = counting.clock.monotonic()

    def slow(deadline: float) -> None:
        deadlines.append(deadline)
        counting.clock.sleep(SECONDS / 3)

    counting.catalogue.before_answer = slow
    popular(counting)

    assert deadlines == [started + SECONDS] * 2


def test_a_title_the_catalogue_does_not_know_is_let_be_for_a_while(counting: Counting) -> None:
    del counting.catalogue.titles["B1"]

    for _ in range(3):
        assert [item.title for item in popular(counting)] == ["", "Kindred"]
    assert counting.catalogue.asked == ["B1", "B2"]

    counting.clock.advance(timedelta(seconds=NOT_AGAIN_SECONDS))
    popular(counting)
    assert counting.catalogue.asked == ["B1", "B2", "B1"]


def test_a_report_has_its_names_though_they_cannot_be_kept(counting: Counting) -> None:
    def refuse(_number: int, _entry: Entry) -> None:
        raise VersionConflict

    counting.ledger.before_write = refuse
    assert named(counting) == BOTH
    assert FactKey(FactKind.TITLE, "B1") not in counting.ledger.facts_of()

    def break_down(_keys: object) -> None:
        raise ConnectionError

    counting.title_names.apply_events.generations.current = break_down  # type: ignore[method-assign,assignment]
    assert named(counting) == BOTH


def test_both_generations_know_the_name(counting: Counting) -> None:
    counting.generations.now = Generations(live=1, building=2, last=2)
    popular(counting)

    assert title(counting, "B1", 1) == title(counting, "B1", 2)

    counting.generations.now = Generations(live=2, previous=1, last=2)
    counting.catalogue.asked.clear()
    lend_again = created("L9", "2026-11-04T09:00:00Z", "2026-11-17T20:59:59Z", book="B2")
    counting.apply_events.apply([lend_again])
    assert named(counting) == [BOTH[1]]
    assert counting.catalogue.asked == []
