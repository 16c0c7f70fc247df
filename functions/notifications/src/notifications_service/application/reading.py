"""A member's list of notices, in words."""

from dataclasses import dataclass
from datetime import datetime

from library_common.telemetry import logger
from notifications_service.application.api_ports import Entry, Inbox, Position
from notifications_service.application.ports import AccountLanguages, StoredPreferences, Templates
from notifications_service.domain.kinds import Channel, Kind


@dataclass(frozen=True)
class ShownNotice:
    """One notice as it is read."""

    id: str
    kind: Kind
    heading: str
    text: str
    occurred_at: datetime
    read_at: datetime | None


@dataclass(frozen=True)
class Reading:
    """Notices are kept as data and written when they are read: in the language the reader wishes today, or the account
    named when a message was sent last. The list does not wait for users, and does not change its language with it."""

    inbox: Inbox
    templates: Templates
    preferences: StoredPreferences
    languages: AccountLanguages

    def page(
        self, user_id: str, limit: int, position: Position | None, *, unread_only: bool
    ) -> tuple[list[ShownNotice], Position | None, int]:
        """Newest first. Raises NoPosition."""
        entries, following, unread = self.inbox.list(user_id, limit, position, unread_only)
        if not entries:
            return [], following, unread
        language = self.preferences.of(user_id).language or self.languages.of(user_id)
        return [self._shown(entry, language) for entry in entries], following, unread

    def _shown(self, entry: Entry, language: str | None) -> ShownNotice:
        try:
            written = self.templates.render(entry.kind, Channel.IN_APP, language, entry.data)
            heading, text = written.subject, written.text
        except Exception as failure:  # noqa: BLE001 - whatever is odd about this one, it does not hide the others
            logger().error(
                "notice not rendered",
                extra={"notice_id": entry.id, "kind": entry.kind.value, "failure": type(failure).__name__},
            )
            heading, text = entry.kind.value.replace("_", " ").capitalize(), ""
        return ShownNotice(entry.id, entry.kind, heading, text, entry.occurred_at, entry.read_at)
