"""Who is calling, and the one way a route says who may call it.

The Lambda authorizer proves who the caller is and API Gateway hands that to the function; every
route declares an `Access` beside its path, checked before any of its code runs.
"""

from collections.abc import Mapping
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


@dataclass(frozen=True)
class Access:
    """Who may use a route.

    public: anybody, a token is optional. member: any person. own: with `member`, the path parameter
    that must be the member's own id; another's is answered as if it did not exist. librarian: staff.
    admin: administrators only. scope: services whose token carries this scope.
    """

    public: bool = False
    member: bool = False
    own: str | None = None
    librarian: bool = False
    admin: bool = False
    scope: str | None = None

    def check(self, caller: Caller, path_params: Mapping[str, str]) -> None:
        """Raises NotAuthenticated or NotAllowed; `NotYours` for another member's thing."""
        if self.public:
            return
        if caller.kind == "anonymous":
            raise NotAuthenticated("A bearer token is needed.", headers={"WWW-Authenticate": "Bearer"})
        if caller.kind == "service":
            if self.scope is None or self.scope not in caller.scopes:
                raise NotAllowed("The service token lacks the scope for this.")
            return
        if caller.is_admin and (self.admin or self.librarian):
            return
        if caller.is_staff and self.librarian:
            return
        if not self.member:
            raise NotAllowed("Your role does not allow this.")
        if self.own is not None and path_params.get(self.own) != caller.id:
            raise NotYours("There is no such thing.")

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
