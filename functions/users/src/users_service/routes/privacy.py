"""A member's own data: all of it as one archive, and its end."""

from collections.abc import Callable
from typing import Any

from fastapi import Response
from pydantic import BaseModel

from library_common.access import Access
from library_common.http import ServiceApi
from users_service.application.use_cases import UseCases
from users_service.application.views import UserView
from users_service.domain.errors import NeighbourUnavailable, StillChanging, StillObliged, UserNotFound


class ArchiveView(BaseModel):
    """Everything the library keeps about one person, as each service writes it.

    loans: newest first. notifications: `preferences`, `devices`, and `notices`, newest first. activity: by month.
    """

    exported_at: str
    account: UserView
    loans: list[dict[str, Any]]
    notifications: dict[str, Any]
    activity: list[dict[str, Any]]


def declare(api: ServiceApi, provide: Callable[[], UseCases]) -> None:
    """The routes on the use cases that `provide` answers."""

    @api.get(
        "/api/users/{user_id}/export",
        access=Access(member=True, own="path:user_id", admin=True),
        raises=[UserNotFound, NeighbourUnavailable],
    )
    def export_user(user_id: str, response: Response) -> ArchiveView:
        """All personal data as one archive."""
        archive = provide().export(user_id)
        response.headers["Content-Disposition"] = f'attachment; filename="library-{archive.account.id}.json"'
        response.headers["Cache-Control"] = "no-store"
        return ArchiveView(
            exported_at=archive.exported_at,
            account=archive.account,
            loans=[dict(loan) for loan in archive.loans],
            notifications=dict(archive.notifications),
            activity=[dict(month) for month in archive.activity],
        )

    @api.delete(
        "/api/users/{user_id}",
        access=Access(member=True, own="path:user_id", admin=True),
        raises=[UserNotFound, StillObliged, NeighbourUnavailable, StillChanging],
        status=204,
    )
    def erase_user(user_id: str) -> None:
        """Erase the account and everything personal about it. Refused with reasons while something binds it."""
        provide().erase(user_id)
