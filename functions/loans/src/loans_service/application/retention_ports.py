"""What finding the loans to anonymise needs from outside, as Protocols."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Protocol, Self

ALWAYS_DUE = datetime(1970, 1, 1, tzinfo=UTC)
"""`closed_loans_since` of accounts that every run looks at."""

type WalkPlace = Mapping[str, str]
"""Where a walk through the whole table continues. Only the table knows what it means."""


@dataclass(frozen=True)
class ListedMember:
    """A member who may have closed loans that name them (`Account.closed_loans_since`). Also a position in the list."""

    user_id: str
    closed_loans_since: datetime


class Accounts(Protocol):
    """Members' accounts, as far as retention needs them."""

    def mark_erased(self, user_id: str, at: datetime) -> None:
        """From now on nothing is lent to the member, and every run looks at the account. Makes the account if there
        is none. Idempotent.
        """

    def due(
        self, until: datetime, limit: int, after: ListedMember | None
    ) -> tuple[list[ListedMember], ListedMember | None]:
        """A page of the members with `closed_loans_since` up to `until`, oldest first, and where it ended."""

    def advance(self, user_id: str, *, was: datetime, to: datetime) -> None:
        """Sets `closed_loans_since`. Does nothing if it changed in the meantime or the member was erased."""

    def remove(self, user_id: str, *, erased_at: datetime) -> None:
        """Removes the account of an erased member unless a loan still has a place in it. Idempotent."""

    def unlisted(self, after: WalkPlace | None) -> tuple[list[str], WalkPlace | None]:
        """Members whose accounts are not in the list; a page of a walk through the whole table."""

    def add_to_list(self, user_id: str) -> None:
        """Puts such an account at the beginning of the list. Idempotent."""


@dataclass(frozen=True)
class RetentionProgress:
    """How far a round through the list has come.

    day: the day it began, UTC. complete: every listed member was looked at. after: where to continue; None at the
    beginning. walked: accounts of before there was a list are in it; walk_after: where that walk continues.
    anonymised: loans. keeping_history: members who keep their history. postponed: members whose preference could not
    be read. failed: loans and members that failed.
    """

    day: date
    version: int = 0
    complete: bool = False
    after: ListedMember | None = None
    walked: bool = False
    walk_after: WalkPlace | None = None
    anonymised: int = 0
    keeping_history: int = 0
    postponed: int = 0
    failed: int = 0

    @property
    def finished(self) -> bool:
        """Every member was looked at, and none was postponed."""
        return self.complete and not self.postponed

    def plus(self, *, anonymised: int = 0, keeping_history: int = 0, postponed: int = 0, failed: int = 0) -> Self:
        return replace(
            self,
            anonymised=self.anonymised + anonymised,
            keeping_history=self.keeping_history + keeping_history,
            postponed=self.postponed + postponed,
            failed=self.failed + failed,
        )


class ProgressStore(Protocol):
    """Where progress is saved, so that a run continues where the last one stopped."""

    def current(self) -> RetentionProgress | None: ...

    def save(self, now: RetentionProgress) -> RetentionProgress:
        """Stores it and returns it with its new version. Raises VersionConflict when another run was faster."""
