"""What counts attempts, in memory."""

from dataclasses import dataclass, field

from library_common.problems import TooManyRequests


@dataclass
class FakeAttempts:
    """Implements `Attempts`. allowed: of every limit and key; left: of single ones, where something is said."""

    taken: list[tuple[str, str]] = field(default_factory=list)
    allowed: int = 10**9
    left: dict[tuple[str, str], int] = field(default_factory=dict)

    def take(self, limit: str, key: str) -> None:
        self.taken.append((limit, key))
        if self.taken.count((limit, key)) > self.left.get((limit, key), self.allowed):
            raise TooManyRequests("Too many attempts.", retry_after=60)
