"""The HTTP API of the users service: which refusal is which status, and the routes by subject."""

from collections.abc import Callable

from library_common.http import ServiceApi
from users_service import bootstrap
from users_service.bootstrap import UseCases
from users_service.domain.errors import (
    AccountExpired,
    AccountSuspended,
    AdminOnly,
    CodeInvalid,
    EmailNotVerified,
    EmailTaken,
    InvalidCredentials,
    InvalidFields,
    NoLongerAllowed,
    OtherServiceUnavailable,
    OwnRole,
    OwnStatus,
    PasswordNeeded,
    RefreshTokenInvalid,
    RoleNotAllowed,
    StatusTransition,
    StillChanging,
    StillObliged,
    UnknownValue,
    UserNotFound,
)
from users_service.routes import accounts, codes, privacy, sessions

DESCRIPTION = (
    "Accounts, memberships and logins: who somebody is, what they may do, and whether they may borrow. Codes by e-mail "
    "or text message, and export and erasure of an account."
)
PROBLEMS: dict[type[Exception], int] = {
    UserNotFound: 404,
    RoleNotAllowed: 403,
    AdminOnly: 403,
    NoLongerAllowed: 403,
    InvalidCredentials: 401,
    RefreshTokenInvalid: 401,
    AccountSuspended: 403,
    AccountExpired: 403,
    EmailNotVerified: 403,
    EmailTaken: 409,
    StatusTransition: 409,
    OwnStatus: 409,
    OwnRole: 409,
    InvalidFields: 422,
    CodeInvalid: 422,
    PasswordNeeded: 403,
    StillChanging: 503,
    StillObliged: 409,
    UnknownValue: 503,
    OtherServiceUnavailable: 503,
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
