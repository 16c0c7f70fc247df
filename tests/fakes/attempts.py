"""What counts attempts, in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from library_common.limits import Limit
from library_common.problems import TooManyRequests


@dataclass
class FakeAttempts:
    """Implements `Attempts`. allowed: of every limit and key; left: of single ones, where something is said.

    limits: those of the library instead of `allowed`, all in one window.
    """

    taken: list[tuple[str, str]] = field(default_factory=list)
    allowed: int = 10**9
    left: dict[tuple[str, str], int] = field(default_factory=dict)
    limits: Mapping[str, Limit] | None = None

    def take(self, limit: str, key: str) -> None:
        self.taken.append((limit, key))
        allowed = self.limits[limit].capacity if self.limits is not None else self.allowed
        if self.taken.count((limit, key)) > self.left.get((limit, key), allowed):
            raise TooManyRequests("Too many attempts.", retry_after=60)
