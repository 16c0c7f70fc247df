"""How names sort and are found: without case and accents."""

import unicodedata

from library_common.text import fold

SORT_NAME_BYTES = 800
"""A sort key has 1,024 bytes; a name of 200 characters needs more only when one of them stands for many."""


def sort_name(name: str) -> str:
    """The name as the directory is ordered by and searched: folded, at most `SORT_NAME_BYTES` in UTF-8."""
    return fold(name).encode()[:SORT_NAME_BYTES].decode("utf-8", "ignore").strip()


def is_sort_name(text: str) -> bool:
    """Whether the directory could hold `text`, not whether it does."""
    # As names themselves are checked: whatever they may contain can stand in a cursor, joiners and unassigned included.
    fits = len(text.encode("utf-8", "replace")) <= SORT_NAME_BYTES
    return fits and not any(unicodedata.category(char) in {"Cc", "Cs"} for char in text)
