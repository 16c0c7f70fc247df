"""The caller of a request, and how a route declares who may call it.

The Lambda authorizer authenticates the caller and API Gateway passes the result to the function. Every
route declares an `Access` beside its path; it is checked before any of the route's code runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from library_common.problems import NotAllowed, NotAuthenticated


class Role(StrEnum):
    """Roles of people. Students, faculty and patrons differ only in lending policy; staff may act for others."""

    STUDENT = "student"
    FACULTY = "faculty"
    PATRON = "patron"
    LIBRARIAN = "librarian"
    ADMIN = "admin"


STAFF = frozenset({Role.LIBRARIAN, Role.ADMIN})


class RequestPart(StrEnum):
    """Where a request can name the owner of the thing it is about."""

    PATH = "path"
    QUERY = "query"
    BODY = "body"


@dataclass(frozen=True)
class Caller:
    """An authenticated person or service, or `anonymous`. session: id of the login session of a person."""

    kind: Literal["person", "service", "anonymous"]
    id: str
    role: Role | None = None
    scopes: frozenset[str] = frozenset()
    session: str | None = None

    @property
    def is_staff(self) -> bool:
        return self.role in STAFF

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN

    @property
    def actor(self) -> str:
        """`user:<id>`, `service:<name>` or `anonymous`: the form used in events and logs."""
        if self.kind == "anonymous":
            return "anonymous"
        return f"{'user' if self.kind == 'person' else 'service'}:{self.id}"

    def is_person(self, user_id: str) -> bool:
        return self.kind == "person" and self.id == user_id


ANONYMOUS = Caller(kind="anonymous", id="anonymous")


def caller_from_event(event: Mapping[str, Any]) -> Caller:
    """The caller that the authorizer put into an API Gateway proxy event. ANONYMOUS when there is none."""
    claims = (event.get("requestContext") or {}).get("authorizer") or {}
    subject = claims.get("subject")
    role = claims.get("role")
    # A role that this version does not know gives no rights.
    if claims.get("kind") == "person" and subject and role in set(Role):
        return Caller(kind="person", id=subject, role=Role(role), session=claims.get("session") or None)
    if claims.get("kind") == "service" and subject:
        return Caller(kind="service", id=subject, scopes=frozenset(claims.get("scope", "").split()))
    return ANONYMOUS


CALLERS_OWN = "caller"
"""Value of `Access.own` for a route that only works on the caller's own things."""


@dataclass(frozen=True)
class Access:
    """Who may use a route.

    public: everybody; a token is optional. member: any person. librarian: staff. admin: administrators only.
    scope: services whose token has this scope.

    own: which things a member may use; required with `member`. `path:user_id`, `query:user_id` and
    `body:user_id` name the part of the request that must hold the member's own id; it is checked before the
    route's code runs. `caller`: the route only works on the caller's own things. Any other word names the stored
    thing that has an owner (`loan`): the route itself answers "not found" for another member's.
    """

    public: bool = False
    member: bool = False
    librarian: bool = False
    admin: bool = False
    own: str | None = None
    scope: str | None = None

    def __post_init__(self) -> None:
        if not (self.public or self.member or self.librarian or self.admin or self.scope):
            raise ValueError("a route must declare who may use it")
        if self.member != (self.own is not None):
            raise ValueError("`own` is required with `member`, and only with it")

    def check(self, caller: Caller) -> None:
        """Raises NotAuthenticated or NotAllowed. Ownership is checked separately, by `require_own`."""
        if self.public:
            return
        if caller.kind == "anonymous":
            raise NotAuthenticated("A bearer token is required.", headers={"WWW-Authenticate": "Bearer"})
        if caller.kind == "service":
            if self.scope is None or self.scope not in caller.scopes:
                raise NotAllowed("The service token does not have the required scope.")
            return
        if not self.member and not self._as_staff(caller):
            raise NotAllowed("Your role does not allow this.")

    def required_owner(self, caller: Caller) -> tuple[RequestPart, str] | None:
        """Where the request must name this caller as the owner; None where it may name others."""
        if self.public or caller.kind != "person" or self._as_staff(caller) or self.own is None:
            return None
        place, _, name = self.own.partition(":")
        return (RequestPart(place), name) if place in set(RequestPart) else None

    def _as_staff(self, caller: Caller) -> bool:
        return (caller.is_admin and (self.admin or self.librarian)) or (caller.is_staff and self.librarian)

    def describe(self) -> dict[str, Any]:
        """For the OpenAPI document (`x-access`); the tests of authorization are generated from it."""
        return {name: value for name, value in vars(self).items() if value}


class NotYours(NotAllowed):
    """The thing belongs to another member. Answered like a thing that does not exist."""

    status, code = 404, "not_found"


def require_own(place: RequestPart, named: Sequence[object], caller: Caller) -> None:
    """Refuses a member whose request names somebody else.

    named: every value given for the owner. An empty list is refused for a path, because the route was declared
    wrongly; for a query or body the route decides what a missing owner means. Raises NotYours, which hides that the
    thing exists. Raises NotAllowed for staff and for a body: a body asks to do something for somebody.
    """
    if (named or place is not RequestPart.PATH) and all(value == caller.id for value in named):
        return
    if caller.is_staff:
        # Staff may know that the thing exists.
        raise NotAllowed("Your role does not allow this.")
    if place is RequestPart.BODY:
        raise NotAllowed("Members can do this only for themselves.")
    raise NotYours("Not found.")
