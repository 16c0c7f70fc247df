"""Finds the names of titles that no event has described: they are older than the statistics, or the event was lost.

The first report that lists such a title asks the catalogue and applies the answer like an event. So each title is asked
for once, and the newest version counts, whatever events still arrive. While the catalogue is down, reports lack these
names and nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from analytics_service.application.apply_events import ApplyEvents
from analytics_service.application.ports import Catalogue, CatalogueUnavailable
from analytics_service.domain.facts import TitleFact, fold
from analytics_service.domain.incoming_events import BookDescribed
from library_common.telemetry import logger

MOST_ASKED = 10
"""Titles that one report asks for. The next report asks for further ones."""

SECONDS = 1.5
"""How long a report may wait for names, all of them together."""

NOT_AGAIN_SECONDS = 600.0
"""How long a process does not ask again for a title that the catalogue does not have."""


@dataclass(frozen=True)
class TitleNames:
    """Completes titles. catalogue: called when a name is first missing, which is rare."""

    catalogue: Callable[[], Catalogue]
    apply_events: ApplyEvents
    monotonic: Callable[[], float]
    unknown: dict[str, float] = field(default_factory=dict)

    def complete(self, known: Mapping[str, TitleFact], book_ids: Sequence[str]) -> dict[str, TitleFact]:
        """These titles with the names that the catalogue has. Does not raise if it fails."""
        complete = dict(known)
        found = self._asked([book_id for book_id in book_ids if known.get(book_id, TitleFact()).title is None])
        for described in found:
            fact = fold(complete.get(described.book_id, TitleFact()), described, None)
            assert isinstance(fact, TitleFact)  # noqa: S101 - folding a description makes a TitleFact
            complete[described.book_id] = fact
        if found:
            self._store(found)
        return complete

    def _asked(self, book_ids: Sequence[str]) -> list[BookDescribed]:
        now = self.monotonic()
        for book_id in [book_id for book_id, until in self.unknown.items() if until <= now]:
            del self.unknown[book_id]
        deadline = now + SECONDS
        found = []
        for book_id in [book_id for book_id in book_ids if book_id not in self.unknown][:MOST_ASKED]:
            try:
                described = self.catalogue().describe(book_id, deadline)
            except CatalogueUnavailable:
                # It would not answer for the others either.
                break
            if described is None:
                self.unknown[book_id] = now + NOT_AGAIN_SECONDS
            else:
                found.append(described)
        return found

    def _store(self, found: Sequence[BookDescribed]) -> None:
        try:
            failed = [outcome for outcome in self.apply_events.describe(found) if isinstance(outcome, Exception)]
        except Exception as failure:  # noqa: BLE001 - the report has its names; the next one asks again
            failed = [failure]
        if failed:
            reasons = sorted({type(failure).__name__ for failure in failed})
            logger().warning("names not stored", extra={"titles": len(failed), "failures": reasons})
