"""How often a login may be tried."""


class NoLimit:
    """`Attempts` without end."""

    def take(self, limit: str, key: str) -> None:
        """Never refuses."""
