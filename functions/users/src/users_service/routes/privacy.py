"""A member's own data: all of it as one archive, and its end."""

from collections.abc import Callable

from fastapi import Response

from library_common.access import Access
from library_common.http import ServiceApi
from users_service.bootstrap import UseCases
from users_service.domain.errors import OtherServiceUnavailable, StillChanging, StillObliged, UnknownValue, UserNotFound
from users_service.schemas.responses import ArchiveView


def declare(api: ServiceApi, provide: Callable[[], UseCases]) -> None:
    """The routes on the use cases that `provide` answers."""

    @api.get(
        "/api/users/{user_id}/export",
        access=Access(member=True, own="path:user_id", admin=True),
        raises=[UserNotFound, OtherServiceUnavailable],
    )
    def export_user(user_id: str, response: Response) -> ArchiveView:
        """All personal data as one archive."""
        archive = provide().export(user_id)
        response.headers["Content-Disposition"] = f'attachment; filename="library-{archive.account.id}.json"'
        return archive

    @api.delete(
        "/api/users/{user_id}",
        access=Access(member=True, own="path:user_id", admin=True),
        raises=[UserNotFound, StillObliged, OtherServiceUnavailable, StillChanging, UnknownValue],
        status=204,
    )
    def erase_user(user_id: str) -> None:
        """Erase the account and everything personal about it. Refused with reasons while something binds it."""
        provide().erase(user_id)
