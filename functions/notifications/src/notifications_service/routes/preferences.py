"""How members want to be told, and on which devices."""

import re
from collections.abc import Callable

from fastapi import Response

from library_common.access import Access
from library_common.http import CurrentCaller, IfMatch, ServiceApi, set_etag
from library_common.ids import is_id
from library_common.problems import StaleVersion
from notifications_service.application.use_cases import MemberCases
from notifications_service.domain.errors import (
    CannotBeTurnedOff,
    DeviceRefused,
    InvalidFields,
    PushNotConfigured,
    TooManyDevices,
    UserNotFound,
)
from notifications_service.domain.preferences import Preferences
from notifications_service.shapes import DeviceBody, DeviceView, PreferencesBody, PreferencesView

_OWN = Access(member=True, own="path:user_id")
_OWN_OR_STAFF = Access(member=True, own="path:user_id", librarian=True)
# A librarian could silence what an administrator is told of changes to the administrator's own account.
_OWN_OR_ADMIN = Access(member=True, own="path:user_id", admin=True)
_DEVICE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def declare(api: ServiceApi, provide: Callable[[], MemberCases]) -> None:
    """The routes on the use cases that `provide` answers."""

    def view(user_id: str, wished: Preferences, response: Response) -> PreferencesView:
        set_etag(response, wished.version)
        cases = provide()
        return PreferencesView.of(user_id, wished, language=cases.default_language, time_zone=cases.library_time_zone)

    @api.get("/api/notifications/preferences/{user_id}", access=_OWN_OR_STAFF, raises=[UserNotFound])
    def read_preferences(user_id: str, response: Response) -> PreferencesView:
        """How a member is told, for every kind of notice."""
        return view(user_id, provide().wishes.of(_known(user_id)), response)

    @api.put(
        "/api/notifications/preferences/{user_id}",
        access=_OWN_OR_ADMIN,
        raises=[UserNotFound, InvalidFields, CannotBeTurnedOff, StaleVersion],
    )
    def replace_preferences(
        user_id: str, body: PreferencesBody, caller: CurrentCaller, if_match: IfMatch, response: Response
    ) -> PreferencesView:
        """Replace all of them. What is left out goes back to the default.

        Administrators do this for others, too, but only the member turns off e-mails about their membership and role.
        """
        own = caller.is_person(user_id)
        replaced = provide().wishes.put(_known(user_id), body.wished(), if_match, by_the_member=own)
        return view(user_id, replaced, response)

    @api.put(
        "/api/notifications/devices/{user_id}/{device_id}",
        access=_OWN,
        raises=[UserNotFound, InvalidFields, PushNotConfigured, DeviceRefused, TooManyDevices],
    )
    def register_device(user_id: str, device_id: str, body: DeviceBody) -> DeviceView:
        """Show push messages on a device. Apps do this whenever they start; the id is of the app's own making."""
        if not _DEVICE_ID.fullmatch(device_id):
            raise InvalidFields(("device_id", "is 1 to 64 letters, digits, - and _"))
        return DeviceView.of(provide().devices.register(_known(user_id), device_id, body.platform, body.token))

    @api.delete("/api/notifications/devices/{user_id}/{device_id}", access=_OWN, raises=[UserNotFound], status=204)
    def remove_device(user_id: str, device_id: str) -> None:
        """Show nothing on it any more. Removing one that is not there is no error."""
        if _DEVICE_ID.fullmatch(device_id):
            provide().devices.remove(_known(user_id), device_id)


def _known(user_id: str) -> str:
    """A malformed id names nobody."""
    if not is_id(user_id):
        raise UserNotFound
    return user_id
