"""The round over closed loans: once a day every loan that was closed longer ago than the retention period is
anonymised, unless its member keeps their history.

It goes by members, not by loans: `since` in an account says from when on there may be closed loans that name the
member, and the accounts where that is longer ago than the period are looked at. Of each member users is asked once, and
only if a loan is due. Who keeps their history stays where they are in the list and is asked again in every round, so a
withdrawn wish takes effect with the next one.

A run may end anywhere: the round is noted as it goes on, and what was done need not be done again. Two runs at the same
time do the same things, of which each has its effect once; the slower one stops when it is to note where it is.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from library_common.clock import Clock
from library_common.telemetry import logger
from loans_service.application.erasing import Erasing, could_not_forget, every_loan
from loans_service.application.forgetting import Forgetting
from loans_service.application.forgetting_ports import Accounts, Listed, Round, Rounds
from loans_service.application.ports import Loans, Members
from loans_service.domain.errors import DependencyUnavailable, MemberNotFound
from loans_service.domain.loan import Account, Loan

PAGE = 25
QUESTION_SECONDS = 6.0
"""For asking users of one member, repeats included."""

LAG = timedelta(hours=1)
"""A loan that was issued longer ago is in the index of its member's loans; a checkout that was under way when its
member was erased has ended.
"""


class Ended(StrEnum):
    """How a run of a round ended."""

    FINISHED = "finished"
    FINISHED_BEFORE = "finished before"
    CONTINUED = "continued"
    PUT_OFF = "put off"


@dataclass(frozen=True)
class Progress:
    """ended: how the run did. round: as it is noted now. late: it did not get through on the day it began."""

    ended: Ended
    round: Round
    late: bool

    @property
    def is_over(self) -> bool:
        """Everybody in the list was looked at, by this run at last."""
        return self.ended in (Ended.FINISHED, Ended.PUT_OFF)


@dataclass(frozen=True)
class _Look:
    """What was found with one member. timed_out: it is to be gone on with."""

    forgotten: int = 0
    keeps: bool = False
    put_off: bool = False
    failed: int = 0
    timed_out: bool = False


@dataclass
class RetentionRound:
    """Goes round. period: how long a closed loan names its member, at least."""

    loans: Loans
    accounts: Accounts
    members: Members
    rounds: Rounds
    forgetting: Forgetting
    erasing: Erasing
    period: timedelta
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic

    def go_on(self, *, seconds: float, anew: bool = False, walk: bool = False) -> Progress:
        """A round, or as much of it as fits into about so many seconds; nothing if today's is finished.

        anew: begin another one, whatever there is. walk: that, and look for accounts through the whole table first.
        Raises AnotherRun.
        """
        until = self.monotonic() + seconds
        now = self.clock.now()
        stored = self.rounds.current()
        if stored is not None and stored.finished and stored.day >= now.date() and not (anew or walk):
            return Progress(Ended.FINISHED_BEFORE, stored, late=False)
        late = stored is not None and not stored.finished and stored.day < now.date()
        going = self.rounds.note(_begun(stored, now, anew=anew or walk, walk=walk))
        ended, going = self._go(going, now - self.period, until)
        return Progress(ended, going, late=late and ended is not Ended.FINISHED)

    def _go(self, going: Round, closed_by: datetime, until: float) -> tuple[Ended, Round]:
        while not going.walked:
            going = self._walk(going)
            if self.monotonic() >= until:
                return Ended.CONTINUED, going
        while True:
            found, after = self.accounts.due(closed_by, PAGE, going.after)
            for listed in found:
                look = self._look_at(listed, closed_by, until)
                going = _counted(going, look)
                if not look.timed_out:
                    going = replace(going, after=listed)
                if look.timed_out or self.monotonic() >= until:
                    return Ended.CONTINUED, self.rounds.note(going)
            if after is None:
                break
            going = self.rounds.note(replace(going, after=after))
        going = self.rounds.note(replace(going, after=None, through=True))
        return (Ended.FINISHED if going.finished else Ended.PUT_OFF), going

    def _walk(self, going: Round) -> Round:
        """Puts accounts of before there was a list into it."""
        found, place = self.accounts.unlisted(going.walk_after)
        for user_id in found:
            self.accounts.enlist(user_id)
        return self.rounds.note(replace(going, walked=place is None, walk_after=place))

    # -- one member -------------------------------------------------------------------------------

    def _look_at(self, listed: Listed, closed_by: datetime, until: float) -> _Look:
        try:
            account = self.loans.account(listed.user_id)
            if account.erased_at is not None:
                return self._look_after_erasure(listed.user_id, account.erased_at, until)
            return self._look(listed.user_id, account, closed_by, until)
        except Exception as exc:  # noqa: BLE001 - the others are not to wait for this one
            logger().error(
                "a member's loans could not be looked at",
                extra={"user_id": listed.user_id, "error": type(exc).__name__},
            )
            return _Look(failed=1)

    def _look_after_erasure(self, user_id: str, erased_at: datetime, until: float) -> _Look:
        done = self.erasing.forget_all(user_id, until=until)
        nothing_left = not (done.forgotten or done.open or done.failed or done.timed_out)
        if nothing_left and erased_at <= self.clock.now() - LAG:
            self.accounts.remove(user_id, erased_at=erased_at)
        return _Look(done.forgotten, failed=done.failed, timed_out=done.timed_out)

    def _look(self, user_id: str, account: Account, closed_by: datetime, until: float) -> _Look:
        may_be_forgotten = False
        forgotten = failed = 0
        # What is open closes later than now, and so does what is lent from now on.
        oldest = self.clock.now() - LAG
        for issued in every_loan(self.loans, user_id):
            if issued.issued_at > oldest:
                break  # closed even later
            if (forgotten or failed) and self.monotonic() >= until:
                return _Look(forgotten, failed=failed, timed_out=True)
            try:
                loan = self.loans.get(issued.loan_id)
                if loan is None or loan.user_id != user_id or loan.closed_at is None:
                    continue
                if is_due(loan, closed_by):
                    if not may_be_forgotten:
                        match self._keeps_history(user_id):
                            case True:
                                return _Look(keeps=True)
                            case None:
                                return _Look(put_off=True)
                        may_be_forgotten = True
                    if self.forgetting.forget(loan):
                        forgotten += 1
                        continue
                oldest = min(oldest, loan.closed_at)
            except Exception as exc:  # noqa: BLE001 - the others are not to wait for this one
                failed += 1
                could_not_forget(issued.loan_id, exc)
        if not failed and account.since is not None and oldest > account.since:
            self.accounts.move_on(user_id, was=account.since, since=oldest)
        return _Look(forgotten, failed=failed)

    def _keeps_history(self, user_id: str) -> bool | None:
        """The member's wish as of now; None if nobody says. Who is gone keeps nothing."""
        try:
            return self.members.find(user_id, self.monotonic() + QUESTION_SECONDS).keeps_history
        except MemberNotFound:
            return False
        except DependencyUnavailable:
            return None


def is_due(loan: Loan, closed_by: datetime) -> bool:
    """Whether the loan was closed by then. Strict like other dates: not at the very instant."""
    return not loan.is_open and loan.closed_at is not None and loan.closed_at < closed_by


def _begun(stored: Round | None, now: datetime, *, anew: bool, walk: bool) -> Round:
    """The round to go on with: a new one, the stored one, or once more from the beginning after some were put off."""
    if stored is None:
        return Round(day=now.date())
    if stored.finished or anew:
        carried = Round(day=now.date(), version=stored.version, walked=stored.walked, walk_after=stored.walk_after)
        return replace(carried, walked=False, walk_after=None) if walk else carried
    if stored.through:
        return replace(stored, through=False, forgotten=0, keeping=0, put_off=0, failed=0)
    return stored


def _counted(going: Round, look: _Look) -> Round:
    return replace(
        going,
        forgotten=going.forgotten + look.forgotten,
        keeping=going.keeping + look.keeps,
        put_off=going.put_off + look.put_off,
        failed=going.failed + look.failed,
    )
