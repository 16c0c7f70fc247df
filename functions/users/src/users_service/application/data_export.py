"""All of a member's data, from every service."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from library_common.clock import Clock, to_rfc3339
from users_service.application.account_search import existing
from users_service.application.ports import OTHER_SERVICES_SECONDS, Members, MembersLoans, MembersRecords
from users_service.schemas.responses import ArchiveView, UserView


@dataclass(frozen=True)
class Export:
    """The use case."""

    members: Members
    loans: MembersLoans
    records: MembersRecords
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic

    def __call__(self, user_id: str) -> ArchiveView:
        """All or nothing: an archive with a part missing would not show it. Raises UserNotFound,
        OtherServiceUnavailable.
        """
        now = self.clock.now()
        member = existing(self.members, user_id)
        deadline = self.monotonic() + OTHER_SERVICES_SECONDS
        return ArchiveView(
            exported_at=to_rfc3339(now),
            account=UserView.of(member, now),
            loans=_plain(self.loans.history(member.id, deadline)),
            notifications=dict(self.records.notifications(member.id, deadline)),
            activity=_plain(self.records.activity(member.id, deadline)),
        )


def _plain(documents: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [dict(document) for document in documents]
