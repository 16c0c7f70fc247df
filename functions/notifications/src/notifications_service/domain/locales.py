"""Languages by BCP 47 tag, and IANA time zones by name."""

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_TAG = re.compile(r"([A-Za-z]{2,3})(?:-([A-Za-z]{4}))?(?:-([A-Za-z]{2}|[0-9]{3}))?")
_ZONE = re.compile(r"UTC|(?!(?:posix|right)/)[A-Za-z]{2,20}(?:/[A-Za-z0-9_+-]{1,30}){1,2}")
LAST_RESORT = "en"
"""Every built-in template exists in it."""


def normal_language(tag: str) -> str | None:
    """The tag in its usual spelling (`fr-CA`, `zh-Hant-TW`); None unless it is a language, script and region."""
    match = _TAG.fullmatch(tag)
    if match is None:
        return None
    language, script, region = match.groups()
    return "-".join(part for part in (language.lower(), script and script.title(), region and region.upper()) if part)


def fall_back(wanted: str | None, default: str) -> list[str]:
    """Languages to look for, nearest first: `fr-CA`, `fr`, the library's, `en`."""
    found: dict[str, None] = {}
    for tag in (wanted, default, LAST_RESORT):
        parts = (normal_language(tag) or "").split("-") if tag else []
        for length in range(len(parts), 0, -1):
            if parts[0]:
                found.setdefault("-".join(parts[:length]))
    return list(found)


def find_zone(name: str) -> ZoneInfo | None:
    """The zone, or None. Only `UTC` and `Area/Place`: no other name reaches the zone files."""
    if not _ZONE.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # OSError: the name of a folder of zones.
        return None
