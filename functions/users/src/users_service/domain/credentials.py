"""What makes an e-mail address unique, and what a password may be.

Passwords follow NIST SP 800-63B, section 5.1.1.2: a minimum length and a list of known passwords, no rules about kinds
of characters.
"""

import unicodedata

PASSWORD_MIN_CHARACTERS = 8
PASSWORD_MAX_BYTES = 72
"""bcrypt looks at no more, so a longer password would be silently cut."""
LARGEST_MINIMUM = 64
"""A larger minimum in characters leaves no room below bcrypt's 72 bytes."""

_LONGEST_RAW = 4 * PASSWORD_MAX_BYTES
"""Characters of a password before it is normalized, which takes long for long runs of marks."""

_TOO_LONG = f"must have at most {PASSWORD_MAX_BYTES} bytes in UTF-8 (accented letters take 2 or more)"
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs"})


def caseless(text: str) -> str:
    """Equal for texts that differ only in case or Unicode form.

    Unicode's compatibility caseless matching (The Unicode Standard, section 3.13, D146), composed to be short.
    """
    once = unicodedata.normalize("NFKD", unicodedata.normalize("NFD", text).casefold())
    return unicodedata.normalize("NFKC", once.casefold())


def has_impossible(text: str) -> bool:
    """Whether the text has characters that no password can have, whatever the rules were when it was set."""
    return any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in text)


def password_to_compare(text: str) -> str:
    """The password as it is compared with a stored hash (NFC). Empty, which matches nothing, if nobody can have it.

    Does not apply today's minimum length: the rules may have been others when the password was set.
    """
    if len(text) > _LONGEST_RAW:
        return ""
    password = unicodedata.normalize("NFC", text)
    return "" if has_impossible(password) or len(password.encode()) > PASSWORD_MAX_BYTES else password


def password_to_hash(text: str, *, min_characters: int = PASSWORD_MIN_CHARACTERS) -> str:
    """The password as it is hashed and later compared: NFC, so that every keyboard spells it the same.

    Spaces count. min_characters: never less than `PASSWORD_MIN_CHARACTERS`. Raises ValueError, with a sentence for
    people, if it is too short, too long or has control characters.
    """
    if len(text) > _LONGEST_RAW:
        raise ValueError(_TOO_LONG)
    password = unicodedata.normalize("NFC", text)
    if has_impossible(password):
        raise ValueError("control characters are not allowed")
    least = max(min_characters, PASSWORD_MIN_CHARACTERS)
    if len(password) < least:
        raise ValueError(f"must have at least {least} characters")
    if len(password.encode()) > PASSWORD_MAX_BYTES:
        raise ValueError(_TOO_LONG)
    return password


def is_own(password: str, *, name: str, email: str) -> bool:
    """Whether it is its owner's name, address or the part of it before the @, whatever the case and punctuation."""
    said = _letters_and_digits(password)
    known = (name, email, email.rpartition("@")[0])
    return bool(said) and said in {_letters_and_digits(text) for text in known}


def _letters_and_digits(text: str) -> str:
    return "".join(char for char in caseless(text) if char.isalnum())
