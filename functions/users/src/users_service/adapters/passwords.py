"""Password hashing with bcrypt."""

# Of nothing anybody knows: made from random bytes that were thrown away. Compared with when there is no account,
# so that an answer takes as long as with one; the cost is put in to be that of the real ones.
_DECOY_SALT_AND_DIGEST = "Cl/mxiF2M822D7j72k99VeFvYVTiX6SyiaKYq6nNgvVi0dvUgpGr2"


class BcryptPasswords:
    """Hashes with a salt of its own per password. rounds: log2 of the work, 12 takes about a quarter of a second."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds

    def hash(self, password: str) -> str:
        """The hash in the modular crypt form, salt and cost included."""
        import bcrypt  # noqa: PLC0415 - a compiled extension that only credentials need

        return bcrypt.hashpw(password.encode(), bcrypt.gensalt(self._rounds)).decode("ascii")

    def matches(self, password: str, stored: str | None) -> bool:
        """Whether `password` was hashed to `stored`; the same work when there is nothing to compare with."""
        import bcrypt  # noqa: PLC0415 - see above

        decoy = f"$2b${self._rounds:02}${_DECOY_SALT_AND_DIGEST}"
        # bcrypt refuses what it would have to cut; such a password was never accepted either.
        fits = bcrypt.checkpw(password.encode()[:72], (stored or decoy).encode())
        return fits and stored is not None and len(password.encode()) <= 72
