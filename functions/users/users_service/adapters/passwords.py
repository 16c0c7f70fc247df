"""Password hashing with bcrypt."""


class BcryptPasswords:
    """Hashes with a salt of its own per password. rounds: log2 of the work, 12 takes about a quarter of a second."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds

    def hash(self, password: str) -> str:
        """The hash in the modular crypt form, salt and cost included."""
        import bcrypt  # noqa: PLC0415 - a compiled extension that only registrations need

        return bcrypt.hashpw(password.encode(), bcrypt.gensalt(self._rounds)).decode("ascii")
