"""Types for text in requests: NFC-normalized, trimmed, without control characters and lone surrogates.

Normalizing takes time that grows with the square of a run of combining marks. So the length of text is bounded before
anything else, and so is every run of marks: Unicode's Stream-Safe Text Format (UAX #15, section 13) allows 30 in a row,
and no language comes near that.
"""

import re
import unicodedata
from functools import partial
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

# Cc: control characters. Cs: lone surrogates, which JSON can contain. Unassigned characters (Cn) are kept: a newer
# version of Unicode may assign them.
_REFUSED = frozenset({"Cc", "Cs"})

MAX_TEXT = 16_384
"""Characters of any text in a request, before its own limit is looked at: more than four times the longest of them,
since decomposed text is longer."""

MAX_MARKS = 30
_DECOMPOSE_TO_MARKS = frozenset("\u0f73\u0f75\u0f81")
"""The characters that are no combining marks and consist of nothing else."""


def _clean(value: object, *, allowed: str = "") -> object:
    if not isinstance(value, str):
        return value
    require_few_marks(not_endless(value))
    if any(unicodedata.category(c) in _REFUSED and c not in allowed for c in value):
        raise ValueError("must not contain control characters")
    return unicodedata.normalize("NFC", value.replace("\r\n", "\n")).strip()


def not_endless(value: str) -> str:
    """The text itself. Raises ValueError for more than MAX_TEXT characters. Look at nothing else before."""
    if len(value) > MAX_TEXT:
        raise ValueError(f"must have at most {MAX_TEXT} characters")
    return value


def require_few_marks(value: str) -> None:
    """Raises ValueError for more than MAX_MARKS combining marks in a row. Until then, do not normalize text."""
    run = 0
    for char in value:
        is_mark = char > "\u02ff" and (unicodedata.combining(char) or char in _DECOMPOSE_TO_MARKS)
        run = run + 1 if is_mark else 0
        if run > MAX_MARKS:
            raise ValueError(f"must not have more than {MAX_MARKS} combining marks in a row")


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _visible(value: str) -> str:
    # Zs: spaces. Cf: zero-width and direction marks. Mn: combining marks. A name of only these shows nothing.
    if value and all(unicodedata.category(c) in {"Zs", "Cf", "Mn"} for c in value):
        raise ValueError("must contain a visible character")
    return value


type Line = Annotated[str, BeforeValidator(_clean), AfterValidator(_visible)]
"""One line of text. Add `Field(min_length=…, max_length=…)` where you use it."""

type Prose = Annotated[str, BeforeValidator(partial(_clean, allowed="\n\r\t")), AfterValidator(_visible)]
"""Text that may contain line breaks."""

BARCODE_PATTERN = r"^[A-Za-z0-9-]{3,30}$"


def scanned(value: str) -> str:
    """A barcode as it is stored and compared: in capitals, without the white space, CR, LF or TAB that scanners add."""
    return value.strip().upper()


def _barcode(value: object) -> object:
    return scanned(value) if isinstance(value, str) and len(value) <= MAX_TEXT else value


type Barcode = Annotated[str, BeforeValidator(_barcode), Field(pattern=BARCODE_PATTERN)]
"""A barcode, as `scanned` gives it."""

_LANGUAGE = "[a-zA-Z]{2,3}"


def _language(value: str) -> str:
    if re.fullmatch(_LANGUAGE, value) is None:
        raise ValueError("must be a language code of two or three letters, like fr")
    return value.lower()


# The pattern is only documented: pydantic's own error message for it would not explain anything.
type LanguageCode = Annotated[
    str,
    BeforeValidator(_clean),
    AfterValidator(_language),
    Field(json_schema_extra={"pattern": f"^{_LANGUAGE}$"}),
]
"""ISO 639 code of two or three letters, in lower case."""

IN_ANY_CASE = BeforeValidator(_lower)
"""For enum values in lower case, in filters: accepts them in any case."""


def fold(value: str) -> str:
    """Text for comparing and indexing: without case and accents, spaces collapsed."""
    # Twice: case folding may compose characters, and decomposing may produce capitals (℡, ᴬ).
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", value.casefold()).casefold())
    bare = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(bare.split())


def words(value: str) -> list[str]:
    """The distinct folded words of `value` in order: runs of letters and digits. Apostrophes do not split words."""
    seen: dict[str, None] = {}
    current: list[str] = []
    for char in fold(value) + " ":
        if char.isalnum():
            current.append(char)
        elif char in "'’":  # noqa: RUF001 - the typographic apostrophe is meant
            continue
        elif current:
            seen.setdefault("".join(current))
            current = []
    return list(seen)
