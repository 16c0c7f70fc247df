"""Who is calling, and the one way a route says who may call it.

The Lambda authorizer proves who the caller is and API Gateway hands that to the function; every
route declares an `Access` beside its path, checked before any of its code runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from library_common.problems import NotAllowed, NotAuthenticated


class Role(StrEnum):
    """Roles of people. Members differ only in lending policy; staff may act for others."""

    STUDENT = "student"
    FACULTY = "faculty"
    PATRON = "patron"
    LIBRARIAN = "librarian"
    ADMIN = "admin"


STAFF = frozenset({Role.LIBRARIAN, Role.ADMIN})


class RequestPart(StrEnum):
    """Where a request can name the owner of what it is about."""

    PATH = "path"
    QUERY = "query"
    BODY = "body"


_REQUEST_PARTS = {place.value: place for place in RequestPart}


@dataclass(frozen=True)
class Caller:
    """An authenticated person or service, or nobody (`anonymous`). session: what a person logged in as, once."""

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
        """`user:<id>`, `service:<name>` or `anonymous`, as events and logs write it."""
        if self.kind == "anonymous":
            return "anonymous"
        return f"{'user' if self.kind == 'person' else 'service'}:{self.id}"

    def is_person(self, user_id: str) -> bool:
        return self.kind == "person" and self.id == user_id


ANONYMOUS = Caller(kind="anonymous", id="anonymous")


def caller_from_event(event: Mapping[str, Any]) -> Caller:
    """The caller that the authorizer put into an API Gateway proxy event."""
    claims = (event.get("requestContext") or {}).get("authorizer") or {}
    subject = claims.get("subject")
    role = claims.get("role")
    # A role this version does not know gives no rights at all.
    if claims.get("kind") == "person" and subject and role in set(Role):
        return Caller(kind="person", id=subject, role=Role(role), session=claims.get("session") or None)
    if claims.get("kind") == "service" and subject:
        return Caller(kind="service", id=subject, scopes=frozenset(claims.get("scope", "").split()))
    return ANONYMOUS


CALLERS_OWN = "caller"
"""Value of `Access.own` for a route that knows nobody's things but the caller's."""


@dataclass(frozen=True)
class Access:
    """Who may use a route.

    public: anybody, a token is optional. member: any person. librarian: staff. admin: administrators only.
    scope: services whose token carries this scope.

    own: whose things a member may touch; obligatory with `member`. `path:user_id`, `query:user_id`,
    `body:user_id` name what must be the member's own id, and are checked before any of the route's code
    runs. `caller`: the route knows nobody else's. Any other word names the thing that tells, once it is
    read, whose it is (`loan`): the route refuses another member's as if it did not exist.
    """

    public: bool = False
    member: bool = False
    own: str | None = None
    librarian: bool = False
    admin: bool = False
    scope: str | None = None

    def __post_init__(self) -> None:
        if not (self.public or self.member or self.librarian or self.admin or self.scope):
            raise ValueError("say who may use the route")
        if self.member != (self.own is not None):
            raise ValueError("a route for members says whose things it is about, and no other does")

    def check(self, caller: Caller) -> None:
        """Raises NotAuthenticated or NotAllowed. Says nothing yet about whose thing it is: see `require_own`."""
        if self.public:
            return
        if caller.kind == "anonymous":
            raise NotAuthenticated("A bearer token is needed.", headers={"WWW-Authenticate": "Bearer"})
        if caller.kind == "service":
            if self.scope is None or self.scope not in caller.scopes:
                raise NotAllowed("The service token lacks the scope for this.")
            return
        if not self.member and not self._as_staff(caller):
            raise NotAllowed("Your role does not allow this.")

    def required_owner(self, caller: Caller) -> tuple[RequestPart, str] | None:
        """Where the request names the owner of what it is about, if that has to be this caller; else None."""
        if self.public or caller.kind != "person" or self._as_staff(caller) or self.own is None:
            return None
        place, _, name = self.own.partition(":")
        return (_REQUEST_PARTS[place], name) if place in _REQUEST_PARTS else None

    def _as_staff(self, caller: Caller) -> bool:
        return (caller.is_admin and (self.admin or self.librarian)) or (caller.is_staff and self.librarian)

    def describe(self) -> dict[str, Any]:
        """For the OpenAPI document (`x-access`), from which the authorisation matrix is tested."""
        described: dict[str, Any] = {}
        for name in ("public", "member", "librarian", "admin"):
            if getattr(self, name):
                described[name] = True
        if self.own:
            described["own"] = self.own
        if self.scope:
            described["scope"] = self.scope
        return described


class NotYours(NotAllowed):
    """Another member's thing is not distinguishable from one that does not exist."""

    status, code = 404, "not_found"


def require_own(place: RequestPart, named: Sequence[object], caller: Caller) -> None:
    """Refuses a member whose request names somebody else.

    named: every value given for the owner. Without one a path was declared wrongly and nobody is let in; a query
    or body leaves it to the route what a missing owner means. Raises NotYours; NotAllowed for a body, which asks
    to do something for somebody instead of asking for something there is.
    """
    if (named or place is not RequestPart.PATH) and all(value == caller.id for value in named):
        return
    if caller.is_staff:
        # Who may know that the thing is there is told that this is not theirs to do.
        raise NotAllowed("Your role does not allow this.")
    if place is RequestPart.BODY:
        raise NotAllowed("Members do this for themselves only.")
    raise NotYours("There is no such thing.")
