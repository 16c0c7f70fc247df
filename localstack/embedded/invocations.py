"""Sample invocations (events/invoke) as of today.

The samples are files with fixed dates. Functions look at the age of events: they notify nobody of an event of weeks
ago. So all dates of a sample are moved by the same number of days, to less than a day ago, before a function gets it.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from localstack.embedded.layout import ROOT

SAMPLES = ROOT / "events" / "invoke"

HAPPENS_AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
"""The time that the samples take as now. Earlier times are in the past, later ones in the future."""

# Only whole strings, also in a document that is itself a string. Dates in other text (names of streams, ids) stay.
_DAY = re.compile(r'(?<=")(\d{4}-\d\d-\d\d)(?=(?:T\d\d:\d\d:\d\dZ)?\\*")', re.ASCII)
_OPTION = re.compile(r"-e|--event")


def as_of(sample: str, now: datetime) -> str:
    """A sample with all dates moved by the same number of days, so that it happened less than a day before `now`."""
    by = timedelta(days=(now - HAPPENS_AT).days)
    document = json.loads(_DAY.sub(lambda found: (date.fromisoformat(found[1]) + by).isoformat(), sample))
    for record in document.get("Records", ()):
        if "md5OfBody" in record:
            record["md5OfBody"] = _md5(record["body"])
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def refreshed(arguments: Sequence[str], folder: Path, now: datetime) -> list[str]:
    """Arguments of `sam local` in which a sample event is replaced by one as of now, written to `folder`.

    Other events stay as they are.
    """
    changed = list(arguments)
    for place, argument in enumerate(changed):
        option, equals, value = argument.partition("=")
        if not _OPTION.fullmatch(option):
            continue
        if not equals and place + 1 < len(changed):
            changed[place + 1] = _refreshed(changed[place + 1], folder, now)
        elif equals:
            changed[place] = f"{option}={_refreshed(value, folder, now)}"
    return changed


def _refreshed(given: str, folder: Path, now: datetime) -> str:
    # SAM runs in the root folder of the repository.
    path = (ROOT / given).resolve()
    if not (path.is_relative_to(SAMPLES) and path.is_file()):
        return given
    target = folder / f"{path.parent.name}-{path.name}"
    target.write_text(as_of(path.read_text(encoding="utf-8"), now), encoding="utf-8")
    return str(target)


def _md5(body: Any) -> str:
    return hashlib.md5(str(body).encode(), usedforsecurity=False).hexdigest()
