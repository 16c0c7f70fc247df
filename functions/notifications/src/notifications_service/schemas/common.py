"""Types that several subjects use."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from library_common.text import Line
from notifications_service.domain import locales
from notifications_service.domain.kinds import Channel, Kind

type StoredKind = Annotated[Kind | str, Field(union_mode="left_to_right")]
type StoredChannel = Annotated[Channel | str, Field(union_mode="left_to_right")]
"""A known value, or one that a newer version of this service stored."""

Id = Annotated[Line, Field(min_length=1, max_length=40)]
_CLOCK_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"


def _clock_time(value: str) -> str:
    if re.fullmatch(_CLOCK_TIME, value) is None:
        raise ValueError("must be a time like 22:00")
    return value


# The pattern is for the documentation; pydantic's own message would only repeat it.
ClockTime = Annotated[
    str,
    AfterValidator(_clock_time),
    Field(json_schema_extra={"pattern": f"^{_CLOCK_TIME}$"}, examples=["22:00"]),
]


def _language(value: str) -> str:
    normal = locales.normal_language(value)
    if normal is None:
        raise ValueError("must be a language tag like en, fr-CA or zh-Hant-TW")
    return normal


def _zone(value: str) -> str:
    if locales.find_zone(value) is None:
        raise ValueError("must be the IANA name of a time zone, like Africa/Nairobi")
    return value


Language = Annotated[Line, Field(min_length=2, max_length=12, examples=["fr-CA"]), AfterValidator(_language)]
ZoneName = Annotated[Line, Field(min_length=3, max_length=64, examples=["Africa/Nairobi"]), AfterValidator(_zone)]
