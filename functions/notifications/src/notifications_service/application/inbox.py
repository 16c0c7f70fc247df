"""A member's list of notices."""

from dataclasses import dataclass
from datetime import datetime

from library_common.clock import Clock
from library_common.telemetry import logger
from notifications_service.application.ports import (
    AccountLanguages,
    InboxEntry,
    InboxStore,
    Position,
    PreferencesStore,
    Templates,
)
from notifications_service.domain.errors import NoticeNotFound
from notifications_service.domain.kinds import Channel, Kind


@dataclass(frozen=True)
class ShownNotice:
    """One notice as it is read. kind: as stored, see `domain.kinds`."""

    id: str
    kind: str
    heading: str
    text: str
    occurred_at: datetime
    read_at: datetime | None


@dataclass(frozen=True)
class Inbox:
    """Notices are stored as data and rendered when they are read.

    The language is that of the member's preferences, or the one that their account named when a message was last sent:
    the list does not wait for the users service.
    """

    store: InboxStore
    templates: Templates
    preferences: PreferencesStore
    languages: AccountLanguages
    clock: Clock

    def page(
        self, user_id: str, limit: int, position: Position | None, *, unread_only: bool
    ) -> tuple[list[ShownNotice], Position | None, int]:
        """Newest first; where to go on; how many are unread. Raises NoPosition."""
        entries, following = self.store.page(user_id, limit, position, unread_only=unread_only)
        unread = self.store.unread(user_id)
        if not entries:
            return [], following, unread
        language = self.preferences.of(user_id).language or self.languages.of(user_id)
        return [self._shown(entry, language) for entry in entries], following, unread

    def mark_read(self, user_id: str, notice_id: str) -> None:
        """The first time counts. Raises NoticeNotFound, also for another member's notice."""
        if not self.store.mark_read(user_id, notice_id, self.clock.now()):
            raise NoticeNotFound

    def _shown(self, entry: InboxEntry, language: str | None) -> ShownNotice:
        # A notice that cannot be rendered, or is of a kind that only a newer version knows, is listed by its kind.
        heading, text = str(entry.kind).replace("_", " ").capitalize(), ""
        if entry.kind in Kind:
            try:
                rendered = self.templates.render(Kind(entry.kind), Channel.IN_APP, language, entry.data)
                heading, text = rendered.subject, rendered.text
            except Exception as failure:  # noqa: BLE001 - whatever is wrong with this one, it does not hide the others
                logger().error(
                    "notice not rendered",
                    extra={"notice_id": entry.id, "kind": str(entry.kind), "failure": type(failure).__name__},
                )
        return ShownNotice(entry.id, entry.kind, heading, text, entry.occurred_at, entry.read_at)
