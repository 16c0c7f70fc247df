"""Environment of the notifications functions."""

from typing import Annotated

from pydantic import Field

from library_common.settings import ConsumerSettings
from library_common.text import Line


class NotificationsSettings(ConsumerSettings):
    """library_name: how the library calls itself in messages. library_time_zone: whose days and hours count.

    default_language: of members who never said which. push_application: ARN of the SNS platform application, or empty.
    """

    # One line: it stands in subjects.
    library_name: Annotated[Line, Field(min_length=1, max_length=60)] = "Smart Library"
    library_time_zone: str = "UTC"
    default_language: str = "en"
    push_application: str = ""
