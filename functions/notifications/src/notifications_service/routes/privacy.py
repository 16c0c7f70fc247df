"""Everything about a member, for the archive that the users service puts together."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Query

from library_common.access import Access
from library_common.http import ListQuery, ServiceApi
from library_common.ids import is_id
from library_common.paging import Cursors
from library_common.problems import FieldError, InvalidRequest
from notifications_service.application.api_ports import NoPosition
from notifications_service.application.use_cases import MemberCases, NoticeCases
from notifications_service.domain.errors import UserNotFound
from notifications_service.shapes import DeviceView, ExportPage, NoticeView, PreferencesView


def declare(api: ServiceApi, members: Callable[[], MemberCases], about_notices: Callable[[], NoticeCases]) -> None:
    """The route on the use cases that the two answer."""

    @api.get("/api/notifications/export/{user_id}", access=Access(scope="notifications:read"), raises=[UserNotFound])
    def export_member(user_id: str, query: Annotated[ListQuery, Query()]) -> ExportPage:
        """Wishes, devices without their tokens, and the notices as the member reads them. Defaults for a stranger."""
        if not is_id(user_id):
            raise UserNotFound
        cursors = Cursors({"export_of": user_id})
        try:
            notices, after, _ = about_notices().reading.page(
                user_id, query.limit, cursors.decode(query.cursor), unread_only=False
            )
        except NoPosition:
            raise InvalidRequest("The cursor is damaged.", errors=[FieldError("cursor", "damaged")]) from None
        cases = members()
        return ExportPage(
            preferences=PreferencesView.of(
                user_id,
                cases.wishes.of(user_id),
                language=cases.default_language,
                time_zone=cases.library_time_zone,
            ),
            devices=[DeviceView.of(device) for device in cases.devices.of(user_id)],
            notices=[NoticeView.of(notice) for notice in notices],
            next_cursor=cursors.encode(after),
        )
