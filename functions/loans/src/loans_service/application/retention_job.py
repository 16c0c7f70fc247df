"""The retention job: once a day it anonymises every loan that was closed longer ago than the retention period, unless
its member keeps their history.

It goes through members, not loans. An account's `closed_loans_since` says from when on there may be closed loans that
name the member; the accounts where that is longer ago than the period are looked at. Users is asked about a member
once, and only if a loan is due. An account whose member keeps their history stays where it is in the list, so the next
day's round asks again.

A run may end anywhere: progress is saved as it goes, and nothing has to be done twice. Two runs at the same time do the
same things, each with one effect; the slower one stops when it saves its progress.

A loan with a status that this version does not know is left alone, and its account stays in the list.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from library_common.clock import Clock
from library_common.telemetry import logger
from loans_service.application.account_erasure import AccountErasure, every_loan, log_failure
from loans_service.application.closing import Anonymisation
from loans_service.application.ports import Accounts, ListedMember, Loans, Members, ProgressStore, RetentionProgress
from loans_service.domain.errors import DependencyUnavailable, MemberNotFound
from loans_service.domain.loan import Account, Loan

PAGE = 25
USERS_SECONDS = 6.0
"""For asking users about one member, retries included."""

LAG = timedelta(hours=1)
"""After this time a new loan is in the index of its member's loans, and a checkout that was running when its member
was erased has ended."""


class RunOutcome(StrEnum):
    """How a run ended."""

    FINISHED = "finished"
    ALREADY_FINISHED = "already finished"
    CONTINUED = "continued"
    POSTPONED = "postponed"


@dataclass(frozen=True)
class RunResult:
    """progress: as it is saved now. late: the round was not finished on the day it began."""

    outcome: RunOutcome
    progress: RetentionProgress
    late: bool

    @property
    def is_over(self) -> bool:
        """This run looked at the last member of the list."""
        return self.outcome in (RunOutcome.FINISHED, RunOutcome.POSTPONED)


@dataclass
class RetentionJob:
    """Runs the job. period: how long a closed loan names its member, at least."""

    loans: Loans
    accounts: Accounts
    members: Members
    store: ProgressStore
    anonymisation: Anonymisation
    account_erasure: AccountErasure
    period: timedelta
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic

    def run(self, *, seconds: float, anew: bool = False, walk: bool = False) -> RunResult:
        """Does today's round, or as much of it as fits into about so many seconds. Does nothing if it is finished.

        anew: start another round. walk: start another round, and first look through the whole table for accounts that
        are not in the list. Raises VersionConflict when another run was faster.
        """
        until = self.monotonic() + seconds
        now = self.clock.now()
        stored = self.store.current()
        if stored is not None and stored.finished and stored.day >= now.date() and not (anew or walk):
            return RunResult(RunOutcome.ALREADY_FINISHED, stored, late=False)
        late = stored is not None and not stored.finished and stored.day < now.date()
        started = self.store.save(_started(stored, now, anew=anew or walk, walk=walk))
        outcome, progress = self._continue(started, now - self.period, until)
        return RunResult(outcome, progress, late=late and outcome is not RunOutcome.FINISHED)

    def _continue(
        self, progress: RetentionProgress, closed_by: datetime, until: float
    ) -> tuple[RunOutcome, RetentionProgress]:
        while not progress.walked:
            progress = self._walk(progress)
            if self.monotonic() >= until:
                return RunOutcome.CONTINUED, progress
        while True:
            page, after = self.accounts.due(closed_by, PAGE, progress.after)
            for listed in page:
                progress, timed_out = self._look_at(progress, listed, closed_by, until)
                if not timed_out:
                    progress = replace(progress, after=listed)
                if timed_out or self.monotonic() >= until:
                    return RunOutcome.CONTINUED, self.store.save(progress)
            if after is None:
                break
            progress = self.store.save(replace(progress, after=after))
        progress = self.store.save(replace(progress, after=None, complete=True))
        return (RunOutcome.FINISHED if progress.finished else RunOutcome.POSTPONED), progress

    def _walk(self, progress: RetentionProgress) -> RetentionProgress:
        """Puts accounts of before there was a list into it, one page."""
        page, place = self.accounts.unlisted(progress.walk_after)
        for user_id in page:
            self.accounts.add_to_list(user_id)
        return self.store.save(replace(progress, walked=place is None, walk_after=place))

    # -- one member: the progress after it, and whether the rest of it is for the next run --------

    def _look_at(
        self, progress: RetentionProgress, listed: ListedMember, closed_by: datetime, until: float
    ) -> tuple[RetentionProgress, bool]:
        try:
            account = self.loans.account(listed.user_id)
            if account.erased_at is not None:
                return self._finish_erasure(progress, listed.user_id, account.erased_at, until)
            return self._anonymise_due_loans(progress, listed.user_id, account, closed_by, until)
        except Exception as exc:  # noqa: BLE001 - one bad account must not stop the others
            logger().error(
                "the loans of a member could not be anonymised",
                extra={"user_id": listed.user_id, "error": type(exc).__name__},
            )
            return progress.plus(failed=1), False

    def _finish_erasure(
        self, progress: RetentionProgress, user_id: str, erased_at: datetime, until: float
    ) -> tuple[RetentionProgress, bool]:
        done = self.account_erasure.anonymise_all(user_id, until=until)
        nothing_left = not (done.anonymised or done.still_open or done.failed or done.timed_out)
        if nothing_left and erased_at <= self.clock.now() - LAG:
            self.accounts.remove(user_id, erased_at=erased_at)
        return progress.plus(anonymised=done.anonymised, failed=done.failed), done.timed_out

    def _anonymise_due_loans(
        self, progress: RetentionProgress, user_id: str, account: Account, closed_by: datetime, until: float
    ) -> tuple[RetentionProgress, bool]:
        keeps_history: bool | None = None
        anonymised = failed = 0
        # Open and future loans are closed later than now.
        oldest = keep_from = self.clock.now() - LAG
        for issued in every_loan(self.loans, user_id):
            if issued.issued_at > oldest:
                break  # closed even later
            if (anonymised or failed) and self.monotonic() >= until:
                return progress.plus(anonymised=anonymised, failed=failed), True
            try:
                loan = self.loans.get(issued.loan_id)
                if loan is None or loan.user_id != user_id:
                    continue
                if not loan.has_known_status:
                    # It may be closed already: keep the account in the list, for a version that knows.
                    keep_from = min(keep_from, issued.issued_at)
                    continue
                if loan.closed_at is None:
                    continue
                if is_due(loan, closed_by):
                    if keeps_history is None:
                        keeps_history = self._keeps_history(user_id)
                        if keeps_history is not False:
                            counts = {"postponed": 1} if keeps_history is None else {"keeping_history": 1}
                            return progress.plus(**counts), False
                    if self.anonymisation.anonymise(loan):
                        anonymised += 1
                        continue
                oldest = min(oldest, loan.closed_at)
            except Exception as exc:  # noqa: BLE001 - one bad loan must not stop the others
                failed += 1
                log_failure(issued.loan_id, exc)
        since, to = account.closed_loans_since, min(oldest, keep_from)
        if not failed and since is not None and to > since:
            self.accounts.advance(user_id, was=since, to=to)
        return progress.plus(anonymised=anonymised, failed=failed), False

    def _keeps_history(self, user_id: str) -> bool | None:
        """The member's preference as of now; None if users cannot say. A member who no longer exists keeps nothing."""
        try:
            return self.members.find(user_id, self.monotonic() + USERS_SECONDS).keeps_history
        except MemberNotFound:
            return False
        except DependencyUnavailable:
            return None


def is_due(loan: Loan, closed_by: datetime) -> bool:
    """Whether the loan was closed before `closed_by`; not if at that very time."""
    return not loan.is_open and loan.closed_at is not None and loan.closed_at < closed_by


def _started(stored: RetentionProgress | None, now: datetime, *, anew: bool, walk: bool) -> RetentionProgress:
    """A new round, the stored one, or the stored one from the beginning when it postponed some members."""
    if stored is None:
        return RetentionProgress(day=now.date())
    if stored.finished or anew:
        new = RetentionProgress(day=now.date(), version=stored.version)
        return new if walk else replace(new, walked=stored.walked, walk_after=stored.walk_after)
    if stored.complete:
        return replace(stored, complete=False, anonymised=0, keeping_history=0, postponed=0, failed=0)
    return stored
