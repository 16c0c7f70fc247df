"""What makes an e-mail address unique, and what a password may be."""

import unicodedata

PASSWORD_MIN_CHARACTERS = 8
PASSWORD_MAX_BYTES = 72
"""bcrypt looks at no more, so a longer password would be silently cut."""

_REFUSED_CATEGORIES = frozenset({"Cc", "Cs"})


def caseless(text: str) -> str:
    """Equal for texts that differ only in case or Unicode form.

    Unicode's compatibility caseless matching (The Unicode Standard, section 3.13, D146), composed to be short.
    """
    once = unicodedata.normalize("NFKD", unicodedata.normalize("NFD", text).casefold())
    return unicodedata.normalize("NFKC", once.casefold())


def has_impossible(text: str) -> bool:
    """Whether there are characters in it that no password has, under whatever rules it was set."""
    return any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in text)


def password_to_compare(text: str) -> str:
    """What is compared with a stored hash: NFC. For what can be nobody's password it is empty, which is nobody's too.

    Does not ask for a length beyond that: the rules may have been others when the password was set.
    """
    password = unicodedata.normalize("NFC", text)
    return "" if has_impossible(password) or len(password.encode()) > PASSWORD_MAX_BYTES else password


def password_to_hash(text: str) -> str:
    """The password as it is hashed and later compared: NFC, so that every keyboard spells it the same.

    Spaces count and stay. Raises ValueError, with a sentence for people, for one that is too short, too
    long or holds control characters.
    """
    password = unicodedata.normalize("NFC", text)
    if any(unicodedata.category(c) in _REFUSED_CATEGORIES for c in password):
        raise ValueError("control characters are not allowed")
    if len(password) < PASSWORD_MIN_CHARACTERS:
        raise ValueError(f"must have at least {PASSWORD_MIN_CHARACTERS} characters")
    if len(password.encode()) > PASSWORD_MAX_BYTES:
        raise ValueError(f"must have at most {PASSWORD_MAX_BYTES} bytes in UTF-8 (accented letters take 2 or more)")
    return password
