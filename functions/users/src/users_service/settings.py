"""Settings of the users service."""

from typing import Annotated, Literal

from pydantic import Field

from library_common.settings import CallerSettings
from library_common.text import Line
from users_service.domain.credentials import LARGEST_MINIMUM, PASSWORD_MIN_CHARACTERS
from users_service.domain.membership import Status, Terms


class UsersSettings(CallerSettings):
    """membership_starts_as: the status of those who register themselves. membership_days: how long a membership lasts.

    bcrypt_rounds: log2 of the work that hashing a password takes. password_min_characters: of a new password.
    refresh_days: how long a login lasts, however much it is used. signing_key_parameter: where the private key of
    access tokens is; verification_keys_parameter: where the public ones are.
    mail_from: the sender of e-mails, verified with SES. library_name: how the library calls itself in messages.
    code_requests_url, rounds_url: SQS queues.
    """

    membership_starts_as: Literal["active", "pending"] = "active"
    membership_days: Annotated[int, Field(ge=1, le=36525)] = 365
    bcrypt_rounds: Annotated[int, Field(ge=4, le=16)] = 12
    password_min_characters: Annotated[int, Field(ge=PASSWORD_MIN_CHARACTERS, le=LARGEST_MINIMUM)] = 8
    refresh_days: Annotated[int, Field(ge=1, le=365)] = 30
    signing_key_parameter: str = ""
    verification_keys_parameter: str = ""
    mail_from: str = "library@example.org"
    # One line: it stands in subjects.
    library_name: Annotated[Line, Field(min_length=1, max_length=60)] = "Smart Library"
    code_requests_url: str = ""
    rounds_url: str = ""

    @property
    def terms(self) -> Terms:
        """What a new membership is like."""
        return Terms(starts_as=Status(self.membership_starts_as), days=self.membership_days)
