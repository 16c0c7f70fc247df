"""What the use cases need from outside."""

from typing import Protocol

from library_common.events import Envelope


class ReviewStore(Protocol):
    """Which titles members returned, and their reviews of them."""

    def stars(self, user_id: str, book_id: str) -> int | None:
        """Of the review; None without one."""
        ...

    def write(self, user_id: str, book_id: str, stars: int, event: Envelope) -> None:
        """Raises TitleNotReturned."""
        ...

    def title_returned(self, user_id: str, book_id: str) -> bool:
        """Stores that the member returned the title. False if that was known."""
        ...
