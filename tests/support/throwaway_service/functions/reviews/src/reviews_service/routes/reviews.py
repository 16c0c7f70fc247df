"""Reading and writing reviews."""

from collections.abc import Callable

from library_common.access import Access
from library_common.http import ServiceApi
from reviews_service.application.reviews import Reviews
from reviews_service.domain.errors import ReviewNotFound, TitleNotReturned
from reviews_service.schemas import Review, ReviewView


def declare(api: ServiceApi, provide: Callable[[], Reviews]) -> None:
    """The routes on the use cases that `provide` returns."""

    @api.post(
        "/api/reviews",
        access=Access(member=True, own="body:user_id", librarian=True),
        raises=[TitleNotReturned],
        status=201,
    )
    def write_review(body: Review) -> ReviewView:
        """Stores a review of a title that the member returned, in the place of an earlier one."""
        provide().write(body.user_id, body.book_id, body.stars)
        return ReviewView(user_id=body.user_id, book_id=body.book_id, stars=body.stars)

    @api.get(
        "/api/reviews/{user_id}/{book_id}",
        access=Access(member=True, own="path:user_id", librarian=True),
        raises=[ReviewNotFound],
    )
    def read_review(user_id: str, book_id: str) -> ReviewView:
        """One member's review of one title."""
        return ReviewView(user_id=user_id, book_id=book_id, stars=provide().read(user_id, book_id))
