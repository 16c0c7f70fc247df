"""ISBNs as people write them, and as they are kept: thirteen digits."""


class NotAnIsbn(ValueError):
    """Neither an ISBN-10 nor an ISBN-13, or its check digit is wrong."""


def to_isbn13(text: str) -> str:
    """The ISBN-13 digits of an ISBN-10 or ISBN-13 with or without hyphens and spaces.

    Raises NotAnIsbn.
    """
    from stdnum import isbn  # noqa: PLC0415 - a third of a cold import, for a field that is often not there
    from stdnum.exceptions import ValidationError  # noqa: PLC0415

    try:
        # The library knows exotic hyphens and digits too; what is kept is plain ASCII.
        found = isbn.to_isbn13(isbn.validate(text))
    except ValidationError as exc:
        raise NotAnIsbn("not an ISBN-10 or ISBN-13 with a right check digit") from exc
    digits = isbn.compact(found)
    if not (digits.isascii() and digits.isdigit()):
        raise NotAnIsbn("not an ISBN-10 or ISBN-13 with a right check digit")
    return digits


def isbn13_or_none(text: str) -> str | None:
    """As `to_isbn13`, but None for what is not an ISBN. Cheap for words without digits."""
    if sum(char.isdigit() for char in text) < _FEWEST_DIGITS:
        return None
    try:
        return to_isbn13(text)
    except NotAnIsbn:
        return None


_FEWEST_DIGITS = 9
