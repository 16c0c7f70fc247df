"""What happened to members, as other services learn of it.

No name, address or phone number: events are kept and copied, and who needs an address asks for it.
"""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from users_service.domain.membership import Status
from users_service.domain.roles import Role


class MemberEvent(BaseModel):
    """Base of the events below. `type` and `version` name the schema of the fields."""

    model_config = ConfigDict(frozen=True)

    type: ClassVar[str]
    version: ClassVar[int] = 1

    user_id: str


class MemberRegistered(MemberEvent):
    """An account came into being."""

    type: ClassVar[str] = "MemberRegistered"

    role: Role
    status: Status


class MemberStatusChanged(MemberEvent):
    """A member's status is another one, or a running suspension has another end (`old` equals `new` then).

    Somebody changed it, and `old` is what the status read as just before; or time did (a suspension reached `until`,
    a membership its last day), and the nightly round tells of it with the actor `system`: `old` is the status as it was
    written last. Reading an account shows what time has done at once, without waiting for the round.
    """

    type: ClassVar[str] = "MemberStatusChanged"

    old: Status
    new: Status
    until: datetime | None = None


class MemberRoleChanged(MemberEvent):
    """An administrator gave a member another role."""

    type: ClassVar[str] = "MemberRoleChanged"

    old: Role
    new: Role


class MemberErased(MemberEvent):
    """The account and everything personal about it is gone; whoever keeps something under its id deletes it, too."""

    type: ClassVar[str] = "MemberErased"


type SessionsEnd = Literal["suspended", "expired", "role_changed", "password_changed", "erased"]
"""Why all of somebody's sessions ended. `expired`: staff only; members whose time is over may look at their loans."""


class SessionsRevoked(MemberEvent):
    """Whatever the member is logged in to ends: tokens of a session epoch before `epoch` are to be refused."""

    type: ClassVar[str] = "SessionsRevoked"

    reason: SessionsEnd
    epoch: int
