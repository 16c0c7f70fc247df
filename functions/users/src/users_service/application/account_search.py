"""Reading one account, and searching accounts."""

from dataclasses import dataclass
from typing import Any

from library_common.clock import Clock
from library_common.ids import is_id
from library_common.paging import Cursors, Page
from library_common.problems import FieldError, InvalidRequest
from users_service.application.ports import EmailKey, Members
from users_service.application.sorting import is_sort_name, sort_name
from users_service.domain.errors import InvalidFields, UserNotFound
from users_service.domain.membership import Status
from users_service.domain.model import Member
from users_service.domain.roles import Role
from users_service.domain.search import Filters, Position
from users_service.schemas.responses import UserView


@dataclass(frozen=True)
class ReadUser:
    """One account, as of now."""

    members: Members
    clock: Clock

    def __call__(self, user_id: str) -> UserView:
        """Raises UserNotFound."""
        return UserView.of(existing(self.members, user_id), self.clock.now())


def existing(members: Members, user_id: str) -> Member:
    """The account with this id. Raises UserNotFound, also for what is not a well-formed id."""
    member = members.get(user_id) if is_id(user_id) else None
    if member is None:
        raise UserNotFound
    return member


@dataclass(frozen=True)
class UserSearch:
    """What to search for. name: how the name begins, case and accents aside. email: the whole address."""

    name: str | None = None
    email: str | None = None
    role: Role | None = None
    status: Status | None = None


@dataclass(frozen=True)
class FindUsers:
    """Accounts by name. May lag a moment behind changes, except in a search by e-mail."""

    members: Members
    email_key: EmailKey
    clock: Clock

    def __call__(self, search: UserSearch, *, limit: int, cursor: str | None) -> Page[UserView]:
        """Up to `limit` accounts. Raises InvalidRequest for a foreign cursor, InvalidFields for an empty name."""
        filters = Filters(name_prefix=_prefix(search.name), role=search.role, status=search.status)
        cursors = Cursors(
            {"name": filters.name_prefix, "email": search.email, "role": search.role, "status": search.status}
        )
        after = _position(cursors.decode(cursor), filters)
        now = self.clock.now()
        next_position = None
        if search.email is not None:
            found = [m for m in self._with_email(search.email) if filters.accept(m, sort_name(m.name), now)]
        else:
            found, next_position = self.members.page(filters, after=after, limit=limit, now=now)
        position = {"name": next_position.sort_name, "id": next_position.user_id} if next_position is not None else None
        return Page(items=[UserView.of(member, now) for member in found], next_cursor=cursors.encode(position))

    def _with_email(self, email: str) -> list[Member]:
        try:
            user_id = self.members.holder_of(self.email_key(email))
        except ValueError:
            return []
        member = self.members.get(user_id) if user_id is not None else None
        return [member] if member is not None else []


def _prefix(name: str | None) -> str | None:
    if name is None:
        return None
    prefix = sort_name(name)
    if not prefix:
        raise InvalidFields(("name", "must contain a letter or digit"))
    return prefix


def _position(position: dict[str, Any] | None, filters: Filters) -> Position | None:
    """The position in a cursor. Cursors are not signed, so one may hold anything."""
    if position is None:
        return None
    name, user_id = position.get("name"), position.get("id")
    if (
        isinstance(name, str)
        and isinstance(user_id, str)
        and is_id(user_id)
        and is_sort_name(name)
        and name.startswith(filters.name_prefix or "")
    ):
        return Position(name, user_id)
    raise InvalidRequest(
        "The cursor does not belong to this query.", errors=[FieldError("cursor", "not a cursor of this query")]
    )
