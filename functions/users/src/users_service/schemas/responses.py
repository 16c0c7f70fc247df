"""The answers of the users API: accounts, sessions, keys and archives. The contract with clients."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue

from library_common.clock import to_rfc3339
from users_service.domain.membership import Status
from users_service.domain.model import Member
from users_service.domain.roles import Role


class _DocumentedAsEnum:
    """Documents `SomeEnum | str` as the enum: a newer version of the service may have stored another value, which is
    answered unchanged.
    """

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema["choices"][0])


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
    role: Annotated[Role | str, _DocumentedAsEnum()]
    status: Annotated[
        Status | str,
        _DocumentedAsEnum(),
        Field(description="As it reads now: a suspension or membership that is over no longer counts."),
    ]
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
        """The account at `now`."""
        status = member.status(now)
        # Reason and end of a suspension that is over do not belong to the status of now.
        stands = status == member.stored_status
        return cls(
            id=member.id,
            name=member.name,
            email=member.email,
            email_verified=member.email_verified_at is not None,
            role=member.role,
            status=status,
            status_reason=member.status_reason if stands else None,
            suspended_until=_text(member.suspended_until) if stands else None,
            phone=member.phone,
            phone_confirmed=member.phone_confirmed,
            preferences=PreferencesView.model_validate(member.preferences),
            expires_at=_text(member.expires_at),
            created_at=to_rfc3339(member.created_at),
            version=member.version,
        )


def _text(at: datetime | None) -> str | None:
    return to_rfc3339(at) if at is not None else None


class SessionView(BaseModel):
    """Tokens, and whose they are. Never logged."""

    access_token: Annotated[str, Field(repr=False, description="For the Authorization header.")]
    refresh_token: Annotated[str, Field(repr=False, description="Good once, for the next pair of tokens.")]
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a kind of token, not one
    expires_in: Annotated[int, Field(description="Seconds that the access token lasts.")]
    user: UserView


class PublicKeyView(BaseModel):
    """A public ES256 key (RFC 7517, RFC 7518 section 6.2.1). What is not named here is never answered."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: str
    y: str
    kid: str
    alg: Literal["ES256"]
    use: Literal["sig"]


class KeysView(BaseModel):
    """A JSON Web Key Set: the keys that access tokens are checked with; during a rotation several."""

    keys: list[PublicKeyView]


class ArchiveView(BaseModel):
    """Everything the library keeps about one person, as each service writes it.

    loans: newest first. notifications: `preferences`, `devices`, and `notices`, newest first. activity: by month.
    """

    exported_at: str
    account: UserView
    loans: list[dict[str, Any]]
    notifications: dict[str, Any]
    activity: list[dict[str, Any]]


class Asked(BaseModel):
    """The same for everybody."""

    detail: str = "If there is an account for which this can be done, a code is on its way. It is valid for 10 minutes."
