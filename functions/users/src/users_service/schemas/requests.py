"""Request bodies and queries of the users API. Everything a format alone can refuse is refused here."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StrictBool, field_validator

from library_common.http import ListQuery, RequestBody, with_examples
from library_common.text import IN_ANY_CASE, LanguageCode, Line, Prose, not_endless
from library_common.timestamps import Timestamp
from users_service.adapters.contacts import INTERNATIONAL, checked_email, e164
from users_service.domain.account_changes import ProfileUpdate
from users_service.domain.codes import DIGITS, Channel
from users_service.domain.credentials import (
    PASSWORD_MAX_BYTES,
    PASSWORD_MIN_CHARACTERS,
    has_impossible,
    password_to_hash,
)
from users_service.domain.membership import Status
from users_service.domain.model import Preferences
from users_service.domain.roles import Role


def _as_hashed(password: str) -> str:
    password_to_hash(password)
    return password


def _possible_password(text: str) -> str:
    if has_impossible(text):
        raise ValueError("has characters that no password has")
    return text


type Name = Annotated[Line, Field(min_length=1, max_length=200)]
type Email = Annotated[
    Line,
    Field(min_length=3, max_length=254, json_schema_extra={"format": "email"}),
    AfterValidator(checked_email),
]
type Phone = Annotated[
    Line,
    Field(
        max_length=40,
        description="With country code; answered as E.164.",
        examples=["+44 1632 960001"],
        json_schema_extra={"pattern": rf"^{INTERNATIONAL.pattern}$"},
    ),
    AfterValidator(e164),
]
type Password = Annotated[
    str,
    # `password_to_hash` checks both limits: characters in NFC, bytes in UTF-8.
    Field(
        json_schema_extra={"minLength": PASSWORD_MIN_CHARACTERS, "maxLength": PASSWORD_MAX_BYTES},
        description=f"At most {PASSWORD_MAX_BYTES} bytes in UTF-8.",
    ),
    AfterValidator(_as_hashed),
]
type PresentedEmail = Annotated[
    Line,
    Field(
        min_length=1,
        max_length=254,
        description="In any writing. What is no address is answered as one that nobody has.",
    ),
]
type PresentedPassword = Annotated[
    str, Field(description="Whatever it is: only the right one is right."), AfterValidator(not_endless)
]
type Digits = Annotated[
    Line,
    Field(pattern=rf"^[0-9]{{{DIGITS}}}$", description=f"The {DIGITS} digits of the message."),
]
type Reason = Annotated[Prose, Field(min_length=1, max_length=500)]


class PreferencesBody(RequestBody):
    """Preferences to set; what is missing stays as it is, or as the defaults are in a new account."""

    language: Annotated[LanguageCode | None, Field(description="ISO 639 code; null for the library's own.")] = None
    notification_email: StrictBool = True
    notification_sms: StrictBool = False
    keep_history: Annotated[
        StrictBool,
        Field(description="Keep closed loans in the member's history when the library would make them anonymous."),
    ] = False
    share_for_recommendations: Annotated[
        StrictBool, Field(description="Let loans count, unnamed, towards recommendations for others.")
    ] = False

    def given(self) -> dict[str, Any]:
        """Only what the client sent."""
        return self.model_dump(exclude_unset=True)


class RegisterBody(RequestBody):
    """A new account. `student` and `patron` are open to anybody; other roles take a staff token."""

    model_config = with_examples(
        {"name": "Ann Lee", "email": "ann.lee@example.org", "password": "seven red bicycles", "role": "student"},
        {
            "name": "Wanjiru Kamau",
            "email": "wanjiru@example.org",
            "password": "a kettle of stars",
            "phone": "+254 712 345678",
            "preferences": {"language": "sw", "notification_sms": True, "keep_history": True},
        },
    )

    name: Name
    email: Email
    password: Annotated[Password | None, Field(repr=False)] = None
    role: Role = Role.PATRON
    phone: Phone | None = None
    preferences: PreferencesBody = PreferencesBody()

    def initial_preferences(self) -> Preferences:
        """The defaults with what the client sent."""
        return Preferences(**self.preferences.given())


class LoginBody(RequestBody):
    """Who somebody says they are, and the proof."""

    model_config = with_examples({"email": "ann.lee@example.org", "password": "seven red bicycles"})

    email: PresentedEmail
    password: Annotated[PresentedPassword, Field(repr=False)]


class RefreshBody(RequestBody):
    """The newest refresh token of a session."""

    refresh_token: Annotated[
        # The characters of a bearer token (RFC 6750, section 2.1).
        str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9._~+/=-]+$", repr=False)
    ]


_NEVER_NULL = ("name", "email", "preferences")


def _without_null(schema: dict[str, Any]) -> None:
    for name in _NEVER_NULL:
        described = schema["properties"][name]
        described |= described.pop("anyOf")[0]
        described.pop("default", None)


class ProfileBody(RequestBody):
    """What to change of an account: what is missing stays as it is, `phone: null` removes the number."""

    # None stands for "missing" here; from a client, null is refused.
    model_config = ConfigDict(json_schema_extra=_without_null)

    name: Name | None = None
    email: Email | None = None
    phone: Phone | None = None
    preferences: PreferencesBody | None = None
    current_password: Annotated[
        # As with a login: the rules for new passwords do not apply.
        Annotated[str, AfterValidator(not_endless), AfterValidator(_possible_password)] | None,
        Field(repr=False, description="Needed to change the e-mail address or phone number of one's own account."),
    ] = None

    @field_validator(*_NEVER_NULL, mode="before")
    @classmethod
    def _not_null(cls, value: object) -> object:
        # Runs only for what was sent, not for defaults.
        if value is None:
            raise ValueError("cannot be removed")
        return value

    def update(self) -> ProfileUpdate:
        """Only what the client sent."""
        fields = self.model_dump(exclude_unset=True, exclude={"preferences", "current_password"})
        return ProfileUpdate(fields, self.preferences.given() if self.preferences is not None else {})


class StatusBody(RequestBody):
    """A step in the lifecycle of a membership."""

    status: Literal["active", "suspended", "expired"]
    reason: Annotated[Reason | None, Field(description="Needed for a suspension; shown to the member.")] = None
    until: Annotated[Timestamp | None, Field(description="When a suspension ends by itself; in the future.")] = None


class PromoteBody(RequestBody):
    """Another role."""

    role: Role


class PasswordResetBody(RequestBody):
    """Where to send a code for a new password."""

    email: Email
    channel: Annotated[
        Channel, Field(description="`sms` goes to the account's phone number; without one the code comes by e-mail.")
    ] = Channel.EMAIL


class PasswordResetConfirmBody(RequestBody):
    """The code from the message, and the new password."""

    email: Email
    code: Annotated[Digits, Field(repr=False)]
    new_password: Annotated[Password, Field(repr=False)]


class VerifyEmailBody(RequestBody):
    """The code from the message."""

    email: Email
    code: Annotated[Digits, Field(repr=False)]


class ResendBody(RequestBody):
    """Where to send another code."""

    email: Email


class UsersQuery(ListQuery):
    """Filters; all given ones must hold."""

    name: Annotated[Name | None, Field(description="How the name begins, case and accents aside.")] = None
    email: Annotated[
        Annotated[Line, Field(max_length=254)] | None, Field(description="The whole address, case aside.")
    ] = None
    role: Role | None = None
    status: Annotated[Status | None, IN_ANY_CASE, Field(description="As it reads now; in lower case or capitals.")] = (
        None
    )
