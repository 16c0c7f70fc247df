"""What the service refuses, each with a code that clients can rely on."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar


class UsersError(Exception):
    """Base of the service's refusals. sentence: for people, where the one who raises it gives no other."""

    code: ClassVar[str]
    sentence: ClassVar[str] = ""

    def __init__(self, sentence: str | None = None) -> None:
        super().__init__(sentence or self.sentence)


class InvalidFields(UsersError):
    """Fields that only the rules can judge. `errors`: (field, message) pairs."""

    code = "invalid_request"

    def __init__(self, *errors: tuple[str, str]) -> None:
        super().__init__("Some fields are invalid.")
        self.errors: Sequence[tuple[str, str]] = errors


class UserNotFound(UsersError):
    """No account has this id."""

    code = "user_not_found"
    sentence = "There is no such account."


class EmailTaken(UsersError):
    """Another account has this address, perhaps written differently."""

    code = "email_taken"
    sentence = "An account with this e-mail address exists already."


class RoleNotAllowed(UsersError):
    """The caller may not register an account with this role."""

    code = "role_not_allowed"


class NoLongerAllowed(UsersError):
    """The account that acts no longer has the role its token claims, or is not active."""

    code = "no_longer_allowed"
    sentence = "Your account does not have this role any more, or is not active. Log in again."


class InvalidCredentials(UsersError):
    """No account has this e-mail address together with this password. Which of the two is wrong is not said."""

    code = "invalid_credentials"
    sentence = "The e-mail address or the password is wrong."


class RefreshTokenInvalid(UsersError):
    """The refresh token is not valid: used before, revoked, too old, or not one of this service's."""

    code = "refresh_token_invalid"
    sentence = "This refresh token is no longer valid. Log in again."


class AccountSuspended(UsersError):
    """The account is suspended. `status_reason` and `suspended_until` say why and how long."""

    code = "account_suspended"

    def __init__(self, reason: str | None, until: datetime | None) -> None:
        super().__init__("The account is suspended.")
        # Written as in an account's own document.
        moment = until.isoformat().replace("+00:00", "Z") if until is not None else None
        self.extra: Mapping[str, str | None] = {"status_reason": reason, "suspended_until": moment}


class AccountExpired(UsersError):
    """A staff account that has expired. An administrator makes it active again."""

    code = "account_expired"
    sentence = "This staff account has expired."


class EmailNotVerified(UsersError):
    """The account waits for its e-mail address to be verified."""

    code = "email_not_verified"
    sentence = "Verify your e-mail address first."


class AdminOnly(UsersError):
    """Only administrators change the accounts of other staff."""

    code = "admin_only"
    sentence = "Only an administrator may change the account of another member of staff."


class StatusTransition(UsersError):
    """The lifecycle has no step from the present status to the requested one."""

    code = "status_transition"


class OwnStatus(UsersError):
    """Nobody changes their own status, neither to lock themselves out nor to lift a suspension."""

    code = "own_status"
    sentence = "You cannot change your own status. Ask somebody else on the staff."


class OwnRole(UsersError):
    """Nobody changes their own role, so the last administrator cannot vanish by accident."""

    code = "own_role"
    sentence = "You cannot change your own role. Ask another administrator."


class CodeInvalid(UsersError):
    """A one-time code that is wrong, too old, used, or tried too often.

    The answer does not say which: it would tell who has an account.
    """

    code = "code_invalid"
    sentence = "The code is wrong or no longer valid. Ask for a new one."


class StillChanging(UsersError):
    """Others kept changing the same account during every attempt."""

    code = "service_unavailable"
    retry_after = 1
    sentence = "The account is being changed by others. Try again shortly."


class UnknownValue(UsersError):
    """A newer version of the service stored a role or status that this version does not know. Nothing was done.

    Happens only while a new version is being deployed, or after a roll-back.
    """

    code = "service_unavailable"
    retry_after = 30
    sentence = "The account was changed by a newer version of this service. Try again shortly."


class StillObliged(UsersError):
    """The account cannot be erased yet. `reasons`: (code, sentence) pairs."""

    code = "still_obliged"

    def __init__(self, *reasons: tuple[str, str]) -> None:
        super().__init__("The account cannot be erased yet.")
        self.reasons: Sequence[tuple[str, str]] = reasons


class OtherServiceUnavailable(UsersError):
    """Another service, whose answer is needed, does not answer. Nothing was done."""

    code = "service_unavailable"
    retry_after = 5

    def __init__(self) -> None:
        super().__init__(
            "Another service with data of the member does not answer; nothing was done. Try again shortly."
        )


class PasswordNeeded(UsersError):
    """Changing one's own e-mail address or phone number takes the password: a token alone may be stolen.

    `errors` say whether `current_password` is missing or wrong.
    """

    code = "password_needed"

    def __init__(self, *, wrong: bool = False) -> None:
        """wrong: a password was sent, but a wrong one. The account is the caller's, so strangers learn nothing."""
        self.errors: Sequence[tuple[str, str]]
        if wrong:
            super().__init__("What you sent as current_password is not your password.")
            self.errors = [("current_password", "is not your password")]
        else:
            super().__init__("To change your e-mail address or phone number, send your password as current_password.")
            self.errors = [("current_password", "is required")]
