"""Languages by their BCP 47 tags, and which wording serves somebody who asked for one."""

import re

_TAG = re.compile(r"([A-Za-z]{2,3})(?:-([A-Za-z]{4}))?(?:-([A-Za-z]{2}|[0-9]{3}))?")
LAST_RESORT = "en"
"""Every built-in wording exists in it."""


def normal(tag: str) -> str | None:
    """The tag as it is written (`fr-CA`, `zh-Hant-TW`), or None for what is no language, script and region."""
    match = _TAG.fullmatch(tag)
    if match is None:
        return None
    language, script, region = match.groups()
    return "-".join(part for part in (language.lower(), script and script.title(), region and region.upper()) if part)


def fall_back(wanted: str | None, default: str) -> list[str]:
    """Languages to look for, nearest first: `fr-CA`, `fr`, the library's, `en`."""
    found: dict[str, None] = {}
    for tag in (wanted, default, LAST_RESORT):
        parts = (normal(tag) or "").split("-") if tag else []
        for length in range(len(parts), 0, -1):
            if parts[0]:
                found.setdefault("-".join(parts[:length]))
    return list(found)
