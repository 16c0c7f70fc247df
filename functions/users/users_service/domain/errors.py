"""What the service refuses, each with a code that clients can rely on."""

from collections.abc import Sequence
from typing import ClassVar


class UsersError(Exception):
    """Base of the service's refusals."""

    code: ClassVar[str]


class InvalidFields(UsersError):
    """Fields that only the rules can judge. `errors`: (field, message) pairs."""

    code = "invalid_request"

    def __init__(self, *errors: tuple[str, str]) -> None:
        super().__init__("Some fields are not acceptable.")
        self.errors: Sequence[tuple[str, str]] = errors


class UserNotFound(UsersError):
    """No account has this id."""

    code = "user_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such account.")


class EmailTaken(UsersError):
    """Another account has this address, perhaps written differently."""

    code = "email_taken"

    def __init__(self) -> None:
        super().__init__("An account with this e-mail address exists already.")


class RoleNotAllowed(UsersError):
    """The caller may not register an account with this role."""

    code = "role_not_allowed"


class AdminOnly(UsersError):
    """Only administrators change an administrator's account."""

    code = "admin_only"

    def __init__(self) -> None:
        super().__init__("Only an administrator may change an administrator's account.")


class StatusTransition(UsersError):
    """The lifecycle has no step from the present status to the wanted one."""

    code = "status_transition"


class OwnStatus(UsersError):
    """Nobody decides about their own membership: not to lock themselves out, not to lift a suspension."""

    code = "own_status"

    def __init__(self) -> None:
        super().__init__("Your own status is changed by somebody else.")


class OwnRole(UsersError):
    """Nobody changes their own role, so the last administrator cannot vanish by accident."""

    code = "own_role"

    def __init__(self) -> None:
        super().__init__("Your own role is changed by somebody else.")


class CodeInvalid(UsersError):
    """A one-time code that is not the right one, is too old, was used or guessed at too often, or never was.

    Which of these is not said: it would tell who has an account.
    """

    code = "code_invalid"

    def __init__(self) -> None:
        super().__init__("The code is not right, or no longer valid. Ask for a new one.")


class StillChanging(UsersError):
    """Others kept changing the same account for as long as we were willing to try again."""

    code = "service_unavailable"
    retry_after = 1

    def __init__(self) -> None:
        super().__init__("The account is being changed by others. Try again shortly.")
