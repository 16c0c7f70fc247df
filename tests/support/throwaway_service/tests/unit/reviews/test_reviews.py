"""The rules of reviews, without AWS."""

import pytest

from library_common.events import Envelope
from library_common.ids import new_id
from reviews_service.application.reviews import Reviews
from reviews_service.domain.errors import ReviewNotFound, TitleNotReturned
from tests.support.clock import FixedClock

pytestmark = pytest.mark.unit


class ReviewsInMemory:
    """The store."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], int | None] = {}
        self.events: list[Envelope] = []

    def stars(self, user_id: str, book_id: str) -> int | None:
        return self.items.get((user_id, book_id))

    def write(self, user_id: str, book_id: str, stars: int, event: Envelope) -> None:
        if (user_id, book_id) not in self.items:
            raise TitleNotReturned
        self.items[user_id, book_id] = stars
        self.events.append(event)

    def title_returned(self, user_id: str, book_id: str) -> bool:
        known = (user_id, book_id) in self.items
        self.items.setdefault((user_id, book_id), None)
        return not known


def test_only_what_was_returned_can_be_reviewed() -> None:
    store = ReviewsInMemory()
    reviews, member, book = Reviews(store, FixedClock()), new_id(), new_id()
    with pytest.raises(TitleNotReturned):
        reviews.write(member, book, 4)

    assert [reviews.title_returned(member, book) for _ in range(2)] == [True, False]
    with pytest.raises(ReviewNotFound):
        reviews.read(member, book)
    reviews.write(member, book, 4)

    assert reviews.read(member, book) == 4
    assert [event.type for event in store.events] == ["ReviewWritten"]


def test_an_id_that_is_none_has_no_review() -> None:
    with pytest.raises(ReviewNotFound):
        Reviews(ReviewsInMemory(), FixedClock()).read("nobody", new_id())
