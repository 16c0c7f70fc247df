"""Accounts: register, read, find, edit, status, role."""

from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import Query, Response

from library_common.access import CALLERS_OWN, Access, Caller
from library_common.http import (
    CurrentCaller,
    IdempotencyKey,
    IfMatch,
    ServiceApi,
    mark_replayed,
    require_version,
    set_etag,
)
from library_common.idempotency import Ticket
from library_common.paging import Page
from library_common.problems import IdempotencyKeyReused, StaleVersion
from users_service.application.account_search import UserSearch
from users_service.application.registration import Registration
from users_service.bootstrap import UseCases
from users_service.domain.account_changes import StatusUpdate
from users_service.domain.errors import (
    AdminOnly,
    EmailTaken,
    InvalidFields,
    NoLongerAllowed,
    OwnRole,
    OwnStatus,
    PasswordNeeded,
    RoleNotAllowed,
    StatusTransition,
    StillChanging,
    UnknownValue,
    UserNotFound,
)
from users_service.domain.membership import Status
from users_service.schemas.requests import ProfileBody, PromoteBody, RegisterBody, StatusBody, UsersQuery
from users_service.schemas.responses import UserView


def declare(api: ServiceApi, provide: Callable[[], UseCases]) -> None:
    """The routes on the use cases that `provide` answers."""

    @api.post(
        "/api/users",
        access=Access(public=True),
        limit="register",
        raises=[RoleNotAllowed, NoLongerAllowed, InvalidFields, EmailTaken, IdempotencyKeyReused, StillChanging],
        status=201,
    )
    def register_user(
        body: RegisterBody, caller: CurrentCaller, idempotency_key: IdempotencyKey, response: Response
    ) -> UserView:
        """Register. Without a password the account cannot be logged into yet."""
        wanted = Registration(
            name=body.name,
            email=body.email,
            role=body.role,
            password=body.password,
            phone=body.phone,
            preferences=body.initial_preferences(),
        )
        # Strangers have no names: the address keeps one's key from being another's.
        whose = "" if caller.kind == "person" else f" {body.email.casefold()}"
        ticket = Ticket.of(caller, f"POST /api/users{whose}", idempotency_key, body.model_dump_json())
        registered = provide().register(wanted, caller=caller, ticket=ticket)
        response.headers["Location"] = f"/api/users/{registered.user.id}"
        mark_replayed(response, registered.replayed)
        return _tagged(registered.user, response)

    @api.get("/api/users", access=Access(librarian=True, scope="users:read"), raises=[InvalidFields])
    def list_users(query: Annotated[UsersQuery, Query()]) -> Page[UserView]:
        """List and find accounts, by name. A page may be short, even empty, and still have a next one."""
        search = UserSearch(name=query.name, email=query.email, role=query.role, status=query.status)
        return provide().find(search, limit=query.limit, cursor=query.cursor)

    @api.get("/api/users/me", access=Access(member=True, own=CALLERS_OWN), raises=[UserNotFound])
    def read_me(caller: CurrentCaller, response: Response) -> UserView:
        """The caller's own account."""
        return _tagged(provide().read(caller.id), response)

    def edited(user_id: str, body: ProfileBody, caller: Caller, versions: frozenset[int] | None) -> UserView:
        return provide().edit_profile(
            user_id,
            body.update(),
            caller=caller,
            accept=partial(require_version, versions),
            current_password=body.current_password,
        )

    @api.put(
        "/api/users/me",
        access=Access(member=True, own=CALLERS_OWN),
        raises=[UserNotFound, PasswordNeeded, EmailTaken, StaleVersion, StillChanging, UnknownValue],
    )
    def update_me(body: ProfileBody, caller: CurrentCaller, if_match: IfMatch, response: Response) -> UserView:
        """Update the caller's own account. What is missing from the body stays as it is."""
        return _tagged(edited(caller.id, body, caller, if_match), response)

    @api.get(
        "/api/users/{user_id}",
        access=Access(member=True, own="path:user_id", librarian=True, scope="users:read"),
        raises=[UserNotFound],
    )
    def read_user(user_id: str, response: Response) -> UserView:
        """One account."""
        return _tagged(provide().read(user_id), response)

    @api.put(
        "/api/users/{user_id}",
        access=Access(member=True, own="path:user_id", librarian=True),
        raises=[
            UserNotFound,
            AdminOnly,
            NoLongerAllowed,
            PasswordNeeded,
            EmailTaken,
            StaleVersion,
            StillChanging,
            UnknownValue,
        ],
    )
    def update_user(
        user_id: str, body: ProfileBody, caller: CurrentCaller, if_match: IfMatch, response: Response
    ) -> UserView:
        """Update an account. What is missing from the body stays as it is."""
        return _tagged(edited(user_id, body, caller, if_match), response)

    @api.put(
        "/api/users/{user_id}/status",
        access=Access(librarian=True),
        raises=[
            UserNotFound,
            AdminOnly,
            NoLongerAllowed,
            OwnStatus,
            StatusTransition,
            InvalidFields,
            StaleVersion,
            StillChanging,
            UnknownValue,
        ],
    )
    def change_user_status(
        user_id: str, body: StatusBody, caller: CurrentCaller, if_match: IfMatch, response: Response
    ) -> UserView:
        """Activate, suspend or expire a membership. A suspension can be given another reason or end; any other
        status it has already changes nothing."""
        update = StatusUpdate(Status(body.status), reason=body.reason, until=body.until)
        changed = provide().change_status(user_id, update, caller=caller, accept=partial(require_version, if_match))
        return _tagged(changed, response)

    @api.post(
        "/api/users/{user_id}/promote",
        access=Access(admin=True),
        raises=[UserNotFound, OwnRole, NoLongerAllowed, StaleVersion, StillChanging, UnknownValue],
    )
    def promote_user(
        user_id: str, body: PromoteBody, caller: CurrentCaller, if_match: IfMatch, response: Response
    ) -> UserView:
        """Give an account another role. The role it has already changes nothing."""
        promoted = provide().promote(user_id, body.role, caller=caller, accept=partial(require_version, if_match))
        return _tagged(promoted, response)


def _tagged(user: UserView, response: Response) -> UserView:
    set_etag(response, user.version)
    return user
