"""An account as it is answered: the contract with everybody who reads one."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from library_common.clock import to_rfc3339
from users_service.domain.membership import Status
from users_service.domain.model import Member
from users_service.domain.roles import Role


class PreferencesView(BaseModel):
    """What the member decided about themself."""

    model_config = ConfigDict(from_attributes=True)

    language: Annotated[str | None, Field(description="ISO 639 code; null for the library's own language.")]
    notification_email: bool
    notification_sms: bool
    keep_history: Annotated[
        bool, Field(description="Keep closed loans in the member's history when the library would make them anonymous.")
    ]
    share_for_recommendations: Annotated[bool, Field(description="Let loans count, unnamed, in recommendations.")]


class UserView(BaseModel):
    """One account. Never anything of its credentials."""

    id: str
    name: str
    email: str
    email_verified: Annotated[bool, Field(description="Whether the member has proved that the address is theirs.")]
    role: Role
    status: Annotated[Status, Field(description="As it reads now: lapsed suspensions and memberships count as such.")]
    status_reason: str | None
    suspended_until: Annotated[str | None, Field(description="RFC 3339; null for until further notice.")]
    phone: Annotated[str | None, Field(description="E.164.")]
    phone_confirmed: Annotated[
        bool, Field(description="Whether the member confirmed the number. Others are sent nothing.")
    ]
    preferences: PreferencesView
    expires_at: Annotated[str | None, Field(description="End of the membership, RFC 3339; null for none.")]
    created_at: Annotated[str, Field(description="RFC 3339.")]
    version: int

    @classmethod
    def of(cls, member: Member, now: datetime) -> Self:
        """The account as it reads at `now`."""
        status = member.status(now)
        # The reason and the end of a suspension that is over say nothing about what the status is now.
        stands = status is member.stored_status
        return cls(
            id=member.id,
            name=member.name,
            email=member.email,
            email_verified=member.email_verified_at is not None,
            role=member.role,
            status=status,
            status_reason=member.status_reason if stands else None,
            suspended_until=_moment(member.suspended_until) if stands else None,
            phone=member.phone,
            phone_confirmed=member.phone_confirmed,
            preferences=PreferencesView.model_validate(member.preferences),
            expires_at=_moment(member.expires_at),
            created_at=to_rfc3339(member.created_at),
            version=member.version,
        )


def _moment(moment: datetime | None) -> str | None:
    return to_rfc3339(moment) if moment is not None else None
