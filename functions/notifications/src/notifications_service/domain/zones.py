"""IANA time zones by name. Nothing but well-formed names ever reaches the zone files."""

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_NAME = re.compile(r"UTC|(?!(?:posix|right)/)[A-Za-z]{2,20}(?:/[A-Za-z0-9_+-]{1,30}){1,2}")


def find_zone(name: str) -> ZoneInfo | None:
    """The zone, or None when there is none of this name. `UTC` or `Area/Place`; no paths, no names of one machine."""
    if not _NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # OSError: the name of a folder of zones.
        return None
