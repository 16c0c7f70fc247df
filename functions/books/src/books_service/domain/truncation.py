"""Cuts titles and authors to the length that an event or the answer to a reservation has room for."""


def truncate(value: str, max_length: int) -> str:
    """`value` in at most `max_length` characters. Longer text is cut after a word and ends with `…`.

    A word longer than half of `max_length` is cut itself.
    """
    if len(value) <= max_length:
        return value
    kept = value[: max_length - 1]
    if not value[max_length - 1].isspace():
        in_words = kept.rpartition(" ")[0]
        kept = in_words if 2 * len(in_words) >= max_length else kept
    return kept.rstrip(" ,;:/–-") + "…"  # noqa: RUF001 - the dash of titles is meant
