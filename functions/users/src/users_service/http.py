"""The HTTP API of the users service: which refusal is which status, and the routes by subject."""

from collections.abc import Callable

from library_common.http import ServiceApi
from users_service import bootstrap
from users_service.bootstrap import UseCases
from users_service.domain import errors
from users_service.routes import accounts, codes, privacy, sessions

DESCRIPTION = (
    "Accounts, memberships and logins: who somebody is, what they may do, and whether they may borrow. Codes by e-mail "
    "or text message, and export and erasure of an account."
)
PROBLEMS: dict[type[Exception], int] = {
    errors.UserNotFound: 404,
    errors.RoleNotAllowed: 403,
    errors.AdminOnly: 403,
    errors.NoLongerAllowed: 403,
    errors.InvalidCredentials: 401,
    errors.RefreshTokenInvalid: 401,
    errors.AccountSuspended: 403,
    errors.AccountExpired: 403,
    errors.EmailNotVerified: 403,
    errors.EmailTaken: 409,
    errors.StatusTransition: 409,
    errors.OwnStatus: 409,
    errors.OwnRole: 409,
    errors.InvalidFields: 422,
    errors.CodeInvalid: 422,
    errors.PasswordNeeded: 403,
    errors.StillChanging: 503,
    errors.StillObliged: 409,
    errors.UnknownValue: 503,
    errors.OtherServiceUnavailable: 503,
}


def build(provide: Callable[[], UseCases]) -> ServiceApi:
    """The API on the use cases that `provide` answers; it is called per request, not before the first."""
    api = ServiceApi(name="users", title="Smart Library: users", description=DESCRIPTION, problems=PROBLEMS)
    # Before the routes with an id in their path: the first that fits answers.
    api.publish_openapi("/api/users/openapi.json")
    accounts.declare(api, provide)
    privacy.declare(api, provide)
    sessions.declare(api, provide)
    codes.declare(api, provide)
    return api


api = build(bootstrap.use_cases)
handler = api
