"""What a password may be, beside its length: not what everybody has, not what everybody knows of its owner.

After NIST SP 800-63B, section 5.1.1.2: length and a list of known passwords, no rules about kinds of characters.
"""

from users_service.domain.identity import PASSWORD_MIN_CHARACTERS, caseless, password_to_hash

LARGEST_MINIMUM = 64
"""Beyond this a minimum in characters leaves no room below bcrypt's 72 bytes."""


def sound_password(text: str, *, min_characters: int) -> str:
    """The password as it is hashed (NFC). Raises ValueError, with a sentence for people.

    min_characters: what the library asks for; never less than `PASSWORD_MIN_CHARACTERS`.
    """
    password = password_to_hash(text)
    least = max(min_characters, PASSWORD_MIN_CHARACTERS)
    if len(password) < least:
        raise ValueError(f"must have at least {least} characters")
    return password


def is_own(password: str, *, name: str, email: str) -> bool:
    """Whether it is its owner's name, address or the part of it before the @, whatever the case and punctuation."""
    said = _letters_and_digits(password)
    known = (name, email, email.rpartition("@")[0])
    return bool(said) and said in {_letters_and_digits(text) for text in known}


def _letters_and_digits(text: str) -> str:
    return "".join(char for char in caseless(text) if char.isalnum())
