"""How members want to be notified."""

from collections.abc import Callable

from fastapi import Response

from library_common.access import Access
from library_common.http import CurrentCaller, IfMatch, ServiceApi, set_etag
from library_common.problems import StaleVersion
from notifications_service.application.use_cases import UseCases
from notifications_service.domain.errors import CannotBeTurnedOff, InvalidFields, UserNotFound
from notifications_service.domain.preferences import Preferences
from notifications_service.routes.common import require_user_id
from notifications_service.schemas.preferences import PreferencesBody, PreferencesView

_OWN_OR_STAFF = Access(member=True, own="path:user_id", librarian=True)
# A librarian could hide changes to an administrator's account from that administrator.
_OWN_OR_ADMIN = Access(member=True, own="path:user_id", admin=True)


def declare(api: ServiceApi, provide: Callable[[], UseCases]) -> None:
    """The routes on the use cases that `provide` returns."""

    def view(user_id: str, preferences: Preferences, response: Response) -> PreferencesView:
        set_etag(response, preferences.version)
        cases = provide()
        return PreferencesView.of(
            user_id, preferences, language=cases.default_language, time_zone=cases.library_time_zone
        )

    @api.get("/api/notifications/preferences/{user_id}", access=_OWN_OR_STAFF, raises=[UserNotFound])
    def read_preferences(user_id: str, response: Response) -> PreferencesView:
        """How a member is notified, for every kind of notice."""
        return view(user_id, provide().preferences.of(require_user_id(user_id)), response)

    @api.put(
        "/api/notifications/preferences/{user_id}",
        access=_OWN_OR_ADMIN,
        raises=[UserNotFound, InvalidFields, CannotBeTurnedOff, StaleVersion],
    )
    def replace_preferences(
        user_id: str, body: PreferencesBody, caller: CurrentCaller, if_match: IfMatch, response: Response
    ) -> PreferencesView:
        """Replace all of them. What is left out goes back to the default.

        Administrators can change those of others, but only members turn off e-mails about their membership and role.
        """
        own = caller.is_person(user_id)
        user_id = require_user_id(user_id)
        replaced = provide().preferences.replace(user_id, body.preferences(), if_match, by_the_member=own)
        return view(user_id, replaced, response)
