"""Many at once: the last copy, the last place under a limit, the same request many times."""

from functools import partial

import pytest

from library_common.ids import new_id
from tests.depth import at_depth
from tests.support.library_client import LibraryClient, at_once, created, patiently, problem, statuses

pytestmark = pytest.mark.integration

MANY, SEVERAL = at_depth(quick=(10, 6), full=(50, 20))
"""How many at once. The emulator starts a process for each, which takes more than half a second of processor time."""


def test_many_members_race_for_the_last_copy(library: LibraryClient) -> None:
    book = library.add_book(copies=1)
    members = at_once([library.add_member for _ in range(MANY)], workers=4)

    answers = at_once([partial(library.lend_patiently, member["id"], book["id"]) for member in members])

    assert statuses(answers) == {201: 1, 409: MANY - 1}
    for answer in answers:
        if answer.status_code == 409:
            problem(answer, 409, "no_copies_available")
    assert library.available(book["id"]) == 0
    winner = next(a.json()["user_id"] for a in answers if a.status_code == 201)
    losers = [m["id"] for m in members if m["id"] != winner][:5]
    assert all(library.loans_of(loser) == [] for loser in losers), "a failed checkout leaves no history"


def test_two_titles_at_once_for_the_last_place_under_the_limit(library: LibraryClient) -> None:
    member = library.add_member("student")
    for _ in range(2):
        library.lent(member["id"], library.add_book()["id"])
    first, second = library.add_book(), library.add_book()

    answers = at_once([partial(library.lend_patiently, member["id"], book["id"]) for book in (first, second)])

    assert statuses(answers) == {201: 1, 422: 1}
    refused = next(a for a in answers if a.status_code == 422)
    problem(refused, 422, "loan_limit_reached")
    assert library.available(first["id"]) + library.available(second["id"]) == 1
    assert len(library.loans_of(member["id"], "active")) == 3


def test_the_same_key_many_times_at_once_is_one_loan(library: LibraryClient) -> None:
    member, book = library.add_member(), library.add_book(copies=SEVERAL)

    checkout = partial(library.lend_patiently, member["id"], book["id"], key=new_id())
    answers = at_once([checkout] * SEVERAL)

    assert statuses(answers) == {201: SEVERAL}
    assert len({answer.text for answer in answers}) == 1, "all answers are identical"
    replayed = [a for a in answers if a.headers.get("Idempotency-Replayed") == "true"]
    assert len(replayed) >= SEVERAL - 1, "at most one is told that it was the first"
    assert library.available(book["id"]) == SEVERAL - 1
    assert len(library.loans_of(member["id"])) == 1


def test_the_same_key_for_another_checkout_is_refused(library: LibraryClient) -> None:
    member, book = library.add_member(), library.add_book()
    key = new_id()
    created(library.lend_patiently(member["id"], book["id"], key=key))

    problem(library.lend(member["id"], library.add_book()["id"], key=key), 422, "idempotency_key_reused")


def test_many_returns_at_once_bring_one_copy_back(library: LibraryClient) -> None:
    member, book = library.add_member(), library.add_book(copies=2)
    loan = library.lent(member["id"], book["id"])

    answers = at_once([partial(library.give_back_patiently, loan["id"]) for _ in range(SEVERAL)])

    assert statuses(answers) == {200: SEVERAL}
    assert len({answer.json()["return_date"] for answer in answers}) == 1
    assert library.available(book["id"]) == 2


def test_checkouts_returns_and_copy_edits_at_once_lose_nothing(library: LibraryClient) -> None:
    book = library.add_book(copies=6)
    members = [library.add_member() for _ in range(at_depth(quick=4, full=8))]

    def borrow_and_bring_back(user_id: str) -> list[int]:
        seen = []
        for _ in range(at_depth(quick=2, full=3)):
            lent = library.lend_patiently(user_id, book["id"])
            seen.append(lent.status_code)
            if lent.status_code == 201:
                library.returned(lent.json()["id"])
        return seen

    def edit(copies: int) -> list[int]:
        path, body = f"/api/books/{book['id']}", {"copies": copies}
        changed = patiently(lambda: library.http.patch(path, json=body, headers=library.as_librarian()))
        return [changed.status_code]

    seen = at_once([partial(borrow_and_bring_back, m["id"]) for m in members] + [partial(edit, n) for n in (7, 6, 8)])

    assert {status for statuses_seen in seen for status in statuses_seen} <= {200, 201, 409}
    after = library.book(book["id"])
    assert after["available_copies"] == after["total_copies"]
    assert after["total_copies"] in (6, 7, 8)
    assert all(library.loans_of(m["id"], "active") == [] for m in members)
