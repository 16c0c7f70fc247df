"""Erasing an account.

Loans is asked twice whether the member has open loans: first before anything is changed, because most refusals are
found there, and again when the account is closed and no checkout can begin any more. If the process dies in between,
the account stays closed, and asking again erases it. A checkout that read the account before it was closed, and takes
its place after the second question, gets through. That takes milliseconds; what is left is a loan without a name, which
the desk takes back by its barcode.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from library_common.clock import Clock
from library_common.versions import VersionConflict
from users_service.application.account_changes import ATTEMPTS, AccountEditor, any_version
from users_service.application.account_search import existing
from users_service.application.envelopes import envelopes
from users_service.application.ports import OTHER_SERVICES_SECONDS, Members, MembersLoans
from users_service.domain import account_erasure
from users_service.domain.errors import OtherServiceUnavailable, StillChanging, StillObliged
from users_service.domain.model import Change, Member


@dataclass(frozen=True)
class Erase:
    """Removes an account and everything personal about it, unless the member still has obligations."""

    editor: AccountEditor
    members: Members
    loans: MembersLoans
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic

    def __call__(self, user_id: str) -> None:
        """Raises UserNotFound, StillObliged, OtherServiceUnavailable, StillChanging, UnknownValue."""
        deadline = self.monotonic() + OTHER_SERVICES_SECONDS
        self._require_erasable(existing(self.members, user_id), deadline)
        before: Member | None = None

        def close(member: Member, _: datetime) -> Change:
            nonlocal before
            # The very state that this write changes: somebody may have suspended the account a moment ago.
            before = member
            return account_erasure.closed(member)

        closed = self.editor.write(user_id, any_version, close, by=None)
        try:
            self._require_erasable(closed, deadline)
        except (StillObliged, OtherServiceUnavailable):
            if before is not None and before != closed:
                self._reopen(user_id, before)
            raise
        self._erase(closed)

    def _reopen(self, user_id: str, before: Member) -> None:
        self.editor.write(user_id, any_version, lambda member, _: account_erasure.reopened(member, before), by=None)

    def _erase(self, closed: Member) -> None:
        for _ in range(ATTEMPTS):
            now = self.clock.now().replace(microsecond=0)
            happened = envelopes(account_erasure.erased(closed), now)
            try:
                self.members.erase(closed, happened=happened, now=now)
            except VersionConflict:
                # A code or a password came or went: try again. Or somebody changed the account: leave that to them.
                present = self.members.get(closed.id)
                if present is None or present.version != closed.version:
                    break
                continue
            return
        # The account stays closed; asking again erases it.
        raise StillChanging

    def _require_erasable(self, member: Member, deadline: float) -> None:
        # A staff account is refused in any case, so loans need not be asked.
        open_loans = 0 if member.is_staff else self.loans.open_loans(member.id, deadline)
        account_erasure.require_erasable(member, open_loans)
