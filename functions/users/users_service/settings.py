"""Settings of the users service."""

from typing import Annotated, Literal

from pydantic import Field

from library_common.settings import ServiceSettings
from users_service.domain.membership import Status, Terms


class UsersSettings(ServiceSettings):
    """membership_starts_as: the status after registration. membership_days: how long a membership lasts.

    services_url_parameter, service_secret_arn: where the other services are, and what signs our tokens for them.
    bcrypt_rounds: log2 of the work that hashing a password takes.
    """

    membership_starts_as: Literal["active", "pending"] = "active"
    membership_days: Annotated[int, Field(ge=1, le=36525)] = 365
    services_url_parameter: str = ""
    service_secret_arn: str = ""
    bcrypt_rounds: Annotated[int, Field(ge=4, le=16)] = 12

    @property
    def terms(self) -> Terms:
        """What a new membership is like."""
        return Terms(starts_as=Status(self.membership_starts_as), days=self.membership_days)
