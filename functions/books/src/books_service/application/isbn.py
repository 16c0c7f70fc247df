"""ISBNs as people write them, and as they are kept: thirteen digits."""

_SBN_LENGTH = 9
_ISMN_PREFIX = "9790"


class NotAnIsbn(ValueError):
    """Neither an ISBN-10 nor an ISBN-13, or its check digit is wrong."""


class IsAnIsmn(NotAnIsbn):
    """The number of printed music: 979-0 was given to ISMNs, which look like ISBNs."""


def to_isbn13(text: str) -> str:
    """The ISBN-13 digits of an ISBN-10 or ISBN-13 with or without hyphens and spaces.

    Nine digits are an SBN, as books had it before 1970: an ISBN-10 without its leading zero. Raises NotAnIsbn, and
    IsAnIsmn for printed music.
    """
    from stdnum import isbn  # noqa: PLC0415 - a third of a cold import, for a field that is often not there
    from stdnum.exceptions import ValidationError  # noqa: PLC0415

    try:
        # The library knows exotic hyphens and digits too; what is kept is plain ASCII.
        compact = isbn.compact(text)
        if compact.startswith(_ISMN_PREFIX):
            raise IsAnIsmn("is an ISMN, the number of printed music, not an ISBN: leave isbn out")
        found = isbn.to_isbn13(isbn.validate("0" + compact if len(compact) == _SBN_LENGTH else compact))
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


_FEWEST_DIGITS = 8
"""Of an SBN whose check digit is X."""
