"""Long titles and authors where there is little room: in events, and in answers to a reservation."""


def shortened(value: str, longest: int) -> str:
    """`value` in at most `longest` characters: cut after a word and ended by `…` where it is longer.

    A word of more than half of that is cut itself, so that something is left.
    """
    if len(value) <= longest:
        return value
    kept = value[: longest - 1]
    if not value[longest - 1].isspace():
        in_words = kept.rpartition(" ")[0]
        kept = in_words if 2 * len(in_words) >= longest else kept
    return kept.rstrip(" ,;:/–-") + "…"  # noqa: RUF001 - the dash of titles is meant
