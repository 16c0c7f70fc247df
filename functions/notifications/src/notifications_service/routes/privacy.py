"""A member's data, for the archive that the users service puts together."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Query

from library_common.access import Access
from library_common.http import ListQuery, ServiceApi
from library_common.paging import Cursors
from notifications_service.application.ports import NoPosition
from notifications_service.application.use_cases import UseCases
from notifications_service.domain.errors import UserNotFound
from notifications_service.routes.common import damaged_cursor, require_user_id
from notifications_service.schemas.devices import DeviceView
from notifications_service.schemas.notices import NoticeView
from notifications_service.schemas.preferences import PreferencesView
from notifications_service.schemas.privacy import ExportPage


def declare(api: ServiceApi, provide: Callable[[], UseCases]) -> None:
    """The route on the use cases that `provide` returns."""

    @api.get("/api/notifications/export/{user_id}", access=Access(scope="notifications:read"), raises=[UserNotFound])
    def export_member(user_id: str, query: Annotated[ListQuery, Query()]) -> ExportPage:
        """Preferences, devices without tokens, and notices as the member reads them. Defaults for an unknown id."""
        require_user_id(user_id)
        cursors = Cursors({"export_of": user_id})
        cases = provide()
        try:
            notices, after, _ = cases.inbox.page(user_id, query.limit, cursors.decode(query.cursor), unread_only=False)
        except NoPosition:
            raise damaged_cursor() from None
        return ExportPage(
            preferences=PreferencesView.of(
                user_id,
                cases.preferences.of(user_id),
                language=cases.default_language,
                time_zone=cases.library_time_zone,
            ),
            devices=[DeviceView.of(device) for device in cases.devices.of(user_id)],
            notices=[NoticeView.of(notice) for notice in notices],
            next_cursor=cursors.encode(after),
        )
