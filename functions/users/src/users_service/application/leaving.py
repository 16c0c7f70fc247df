"""What the library knows about a person, as one archive; and forgetting it.

Erasing asks loans twice: before anything is touched, because most refusals are found there, and once more when the
account is closed and so cannot begin a checkout any more. A process that dies in between leaves a closed account, which
asking again erases. A checkout that read the account before it was closed and takes its place after the second look
gets through: milliseconds, and what is left is a loan without a name, which the desk takes back by its barcode.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from library_common.clock import Clock, to_rfc3339
from library_common.ids import is_id
from users_service.application.editing import ATTEMPTS, Editing, any_version
from users_service.application.ports import ChangedMeanwhile, Members, MembersLoans, MembersRecords
from users_service.application.telling import envelopes
from users_service.application.views import UserView
from users_service.domain import leaving
from users_service.domain.errors import NeighbourUnavailable, StillChanging, StillObliged, UserNotFound
from users_service.domain.model import Change, Member

SECONDS = 8.0
"""How long other services may take altogether."""


@dataclass(frozen=True)
class Archive:
    """Everything about one person. loans, newest first, notifications and activity: as their services write them."""

    exported_at: str
    account: UserView
    loans: list[Mapping[str, Any]]
    notifications: Mapping[str, Any]
    activity: list[Mapping[str, Any]]


@dataclass(frozen=True)
class Export:
    """One person's data from every service."""

    members: Members
    loans: MembersLoans
    records: MembersRecords
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic

    def __call__(self, user_id: str) -> Archive:
        """Raises UserNotFound, NeighbourUnavailable."""
        now = self.clock.now()
        member = self.members.get(user_id) if is_id(user_id) else None
        if member is None:
            raise UserNotFound
        deadline = self.monotonic() + SECONDS
        # All or nothing: an archive that lacks something does not say so.
        return Archive(
            exported_at=to_rfc3339(now),
            account=UserView.of(member, now),
            loans=self.loans.history(member.id, deadline),
            notifications=self.records.notifications(member.id, deadline),
            activity=self.records.activity(member.id, deadline),
        )


@dataclass(frozen=True)
class Erase:
    """Forgets a person, unless something still binds them to the library."""

    editing: Editing
    members: Members
    loans: MembersLoans
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic

    def __call__(self, user_id: str) -> None:
        """Raises UserNotFound, StillObliged, NeighbourUnavailable, StillChanging."""
        deadline = self.monotonic() + SECONDS
        self._require_free(self._member(user_id), deadline)
        was: Member | None = None

        def close(member: Member, _: datetime) -> Change:
            nonlocal was
            # Exactly the state that the write replaces: somebody may have suspended the account a moment ago.
            was = member
            return leaving.closed(member)

        shut = self.editing.write(user_id, any_version, close, by=None)
        try:
            self._require_free(shut, deadline)
        except (StillObliged, NeighbourUnavailable):
            if was is not None and was != shut:
                self._reopen(user_id, was)
            raise
        self._erase(shut)

    def _reopen(self, user_id: str, was: Member) -> None:
        self.editing.write(user_id, any_version, lambda member, _: leaving.reopened(member, was), by=None)

    def _erase(self, shut: Member) -> None:
        for _ in range(ATTEMPTS):
            now = self.clock.now().replace(microsecond=0)
            told = envelopes(leaving.erased(shut), now)
            try:
                self.members.erase(shut, happened=told, now=now)
            except ChangedMeanwhile:
                # A code or a password came or went; or somebody changed the account: then it is theirs to decide anew.
                present = self.members.get(shut.id)
                if present is None or present.version != shut.version:
                    break
                continue
            return
        # Closed it stays; whoever asks again finishes it.
        raise StillChanging

    def _require_free(self, member: Member, deadline: float) -> None:
        # A refusal that is certain needs nobody's word.
        open_loans = 0 if member.role.is_staff else self.loans.open_loans(member.id, deadline)
        leaving.require_free_to_leave(member, open_loans)

    def _member(self, user_id: str) -> Member:
        member = self.members.get(user_id) if is_id(user_id) else None
        if member is None:
            raise UserNotFound
        return member
