"""Passwords that everybody tries first: the list that zxcvbn counted in leaked collections, 30,000 of them."""

from functools import cache

from users_service.domain.identity import PASSWORD_MIN_CHARACTERS, caseless


def is_common(password: str) -> bool:
    """Whether it is on the list, whatever its case."""
    return caseless(password) in _listed()


@cache
def _listed() -> frozenset[str]:
    # Imported and kept when first needed: one request in many sets a password.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415

    return frozenset(caseless(word) for word in FREQUENCY_LISTS["passwords"] if len(word) >= PASSWORD_MIN_CHARACTERS)
