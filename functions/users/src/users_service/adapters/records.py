"""What notifications and analytics keep about a member, over HTTP, behind the port of `application.ports`.

Asked when somebody wants their data, which is seldom: what it takes is made and imported then.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from users_service.domain.errors import NeighbourUnavailable

if TYPE_CHECKING:
    from library_common.service_client import ServiceClient

_PAGE = 100


class HttpMembersRecords:
    """Implements `application.ports.MembersRecords`. The two answer the same client each time."""

    def __init__(self, notifications: "Callable[[], ServiceClient]", analytics: "Callable[[], ServiceClient]") -> None:
        self._notifications = notifications
        self._analytics = analytics

    def notifications(self, user_id: str, deadline: float) -> Mapping[str, Any]:
        notices: list[Mapping[str, Any]] = []
        cursor: str | None = None
        while True:
            query = {"limit": str(_PAGE), **({"cursor": cursor} if cursor is not None else {})}
            path = f"/api/notifications/export/{user_id}?{urlencode(query)}"
            page = _get(self._notifications(), path, deadline)
            notices.extend(page["notices"])
            cursor = page["next_cursor"]
            if cursor is None:
                return {"preferences": page["preferences"], "devices": page["devices"], "notices": notices}

    def activity(self, user_id: str, deadline: float) -> list[Mapping[str, Any]]:
        months: list[Mapping[str, Any]] = _get(self._analytics(), f"/api/analytics/export/{user_id}", deadline)[
            "months"
        ]
        return months


def _get(client: "ServiceClient", path: str, deadline: float) -> Mapping[str, Any]:
    from library_common.service_client import Answered  # noqa: PLC0415 - see above

    answer = client.get(path, deadline=deadline)
    if not isinstance(answer, Answered):
        # Also "not found": of whom nothing is known, both answer that there is nothing.
        raise NeighbourUnavailable
    return answer.body
