"""A member's own list of notices."""

from dataclasses import dataclass

from library_common.clock import Clock
from notifications_service.application.api_ports import Entry, Position
from notifications_service.application.ports import Entries
from notifications_service.domain.errors import NoticeNotFound


@dataclass(frozen=True)
class Inbox:
    """Reading the list, and what was read of it."""

    entries: Entries
    clock: Clock

    def list(
        self, user_id: str, limit: int, position: Position | None, unread_only: bool = False
    ) -> tuple[list[Entry], Position | None, int]:
        """A page, newest first; where to go on; how many are unread (counted to a thousand). Raises NoPosition."""
        page, more = self.entries.page(user_id, limit, position, unread_only=unread_only)
        return page, more, self.entries.unread(user_id)

    def mark_read(self, user_id: str, notice_id: str) -> None:
        """Read now, or before. Raises NoticeNotFound."""
        if self.entries.mark_read(user_id, notice_id, self.clock.now()) is None:
            raise NoticeNotFound
