"""What counts attempts, until the shared limits do."""


class NoLimit:
    """`Attempts` that lets everything through."""

    def take(self, limit: str, key: str) -> None:
        """Counts nothing."""
