"""A member's list of notices."""

from typing import Annotated, Self

from pydantic import BaseModel, Field

from library_common.clock import to_rfc3339
from library_common.http import ListQuery
from library_common.paging import Page
from notifications_service.application.inbox import ShownNotice
from notifications_service.schemas.common import StoredKind


class NoticesQuery(ListQuery):
    """Which notices to list."""

    unread: Annotated[bool, Field(description="Only unread ones.")] = False


class NoticeView(BaseModel):
    """One notice, written in the reader's language."""

    id: str
    kind: StoredKind
    heading: str
    text: str
    occurred_at: str
    read_at: str | None

    @classmethod
    def of(cls, notice: ShownNotice) -> Self:
        return cls(
            id=notice.id,
            kind=notice.kind,
            heading=notice.heading,
            text=notice.text,
            occurred_at=to_rfc3339(notice.occurred_at),
            read_at=to_rfc3339(notice.read_at) if notice.read_at is not None else None,
        )


class NoticePage(Page[NoticeView]):
    """One page of a member's notices."""

    unread: Annotated[int, Field(description="How many are unread altogether.")]
