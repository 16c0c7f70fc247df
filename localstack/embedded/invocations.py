"""Sample invocations (events/invoke) as of today.

They are files, so their story happens on one day for ever. Functions mind how old things are: an event of weeks ago is
not told to anybody. So before a sample is handed to a function, its moments and days are moved, all by as many days, to
where the story happened less than a day ago.
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
"""When the story of the samples happens. What lies before it has been, what lies after it is still to come."""

# A whole string, also within a document that is itself a string. Those within other text (names of streams, ids) stay.
_DAY = re.compile(r'(?<=")(\d{4}-\d\d-\d\d)(?=(?:T\d\d:\d\d:\d\dZ)?\\*")', re.ASCII)
_OPTION = re.compile(r"-e|--event")


def as_of(sample: str, now: datetime) -> str:
    """A sample with all its days moved by the same number, so that its story happened less than a day before `now`."""
    by = timedelta(days=(now - HAPPENS_AT).days)
    document = json.loads(_DAY.sub(lambda found: (date.fromisoformat(found[1]) + by).isoformat(), sample))
    for record in document.get("Records", ()):
        if "md5OfBody" in record:
            record["md5OfBody"] = _md5(record["body"])
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def refreshed(arguments: Sequence[str], folder: Path, now: datetime) -> list[str]:
    """Arguments of `sam local`, in which an event that is one of the samples is replaced by one as of now, in `folder`.

    Other events are their makers' business and stay as they are.
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
    # SAM runs in the root of the repository.
    path = (ROOT / given).resolve()
    if not (path.is_relative_to(SAMPLES) and path.is_file()):
        return given
    target = folder / f"{path.parent.name}-{path.name}"
    target.write_text(as_of(path.read_text(encoding="utf-8"), now), encoding="utf-8")
    return str(target)


def _md5(body: Any) -> str:
    return hashlib.md5(str(body).encode(), usedforsecurity=False).hexdigest()
