"""Reading and writing reviews."""

from dataclasses import dataclass

from library_common.clock import Clock
from library_common.events import envelope_for
from library_common.ids import is_id
from reviews_service.application.ports import ReviewStore
from reviews_service.domain.errors import ReviewNotFound, TitleNotReturned
from reviews_service.domain.events import ReviewWritten


@dataclass(frozen=True)
class Reviews:
    """The reviews of all members."""

    store: ReviewStore
    clock: Clock

    def read(self, user_id: str, book_id: str) -> int:
        """The stars of a review. Raises ReviewNotFound."""
        stars = self.store.stars(user_id, book_id) if is_id(user_id) and is_id(book_id) else None
        if stars is None:
            raise ReviewNotFound
        return stars

    def write(self, user_id: str, book_id: str, stars: int) -> None:
        """Stores a review. Raises TitleNotReturned."""
        if not is_id(user_id) or not is_id(book_id):
            raise TitleNotReturned
        event = ReviewWritten(user_id=user_id, book_id=book_id, stars=stars)
        self.store.write(user_id, book_id, stars, envelope_for(event, subject=f"book:{book_id}", at=self.clock.now()))

    def title_returned(self, user_id: str, book_id: str) -> bool:
        """From now on the member may review the title. False if the member already could."""
        return self.store.title_returned(user_id, book_id)
