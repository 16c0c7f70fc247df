"""Password hashing with bcrypt, and the list of common passwords."""

from functools import cache

from users_service.domain.credentials import PASSWORD_MAX_BYTES, PASSWORD_MIN_CHARACTERS, caseless

# Made from random bytes that were thrown away. Compared with when there is no account, so that the answer takes as long
# as with one; the cost of the real hashes is put in front.
_DECOY_SALT_AND_DIGEST = "Cl/mxiF2M822D7j72k99VeFvYVTiX6SyiaKYq6nNgvVi0dvUgpGr2"


class BcryptPasswords:
    """Every hash has its own salt. rounds: log2 of the work; 12 takes about a quarter of a second."""

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
        fits = bcrypt.checkpw(password.encode()[:PASSWORD_MAX_BYTES], (stored or decoy).encode())
        return fits and stored is not None and len(password.encode()) <= PASSWORD_MAX_BYTES


def is_common(password: str) -> bool:
    """Whether it is one of the 30,000 most common passwords that zxcvbn counted in leaks, whatever its case."""
    return caseless(password) in _common()


@cache
def _common() -> frozenset[str]:
    # Imported and kept when first needed: few requests set a password.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415

    return frozenset(caseless(word) for word in FREQUENCY_LISTS["passwords"] if len(word) >= PASSWORD_MIN_CHARACTERS)
