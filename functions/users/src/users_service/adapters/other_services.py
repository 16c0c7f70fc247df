"""What loans, notifications and analytics know about a member, over HTTP.

Asked only when somebody erases or exports an account. That is rare, so clients are made, and their code imported, then.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from users_service.domain.errors import OtherServiceUnavailable

if TYPE_CHECKING:
    from library_common.service_client import ServiceClient

_PAGE = 100


class HttpMembersLoans:
    """Implements `application.ports.MembersLoans`. `client` answers the same client each time."""

    def __init__(self, client: "Callable[[], ServiceClient]") -> None:
        self._client = client

    def open_loans(self, user_id: str, deadline: float) -> int:
        return int(_get(self._client(), f"/api/loans/obligations/{user_id}", deadline)["open_loans"])

    def history(self, user_id: str, deadline: float) -> list[Mapping[str, Any]]:
        pages = _pages(self._client(), f"/api/loans/user/{user_id}", deadline)
        return [loan for page in pages for loan in page["items"]]


class HttpMembersRecords:
    """Implements `application.ports.MembersRecords`. Both arguments answer the same client each time."""

    def __init__(self, notifications: "Callable[[], ServiceClient]", analytics: "Callable[[], ServiceClient]") -> None:
        self._notifications = notifications
        self._analytics = analytics

    def notifications(self, user_id: str, deadline: float) -> Mapping[str, Any]:
        pages = list(_pages(self._notifications(), f"/api/notifications/export/{user_id}", deadline))
        notices = [notice for page in pages for notice in page["notices"]]
        return {"preferences": pages[-1]["preferences"], "devices": pages[-1]["devices"], "notices": notices}

    def activity(self, user_id: str, deadline: float) -> list[Mapping[str, Any]]:
        return list(_get(self._analytics(), f"/api/analytics/export/{user_id}", deadline)["months"])


def _pages(client: "ServiceClient", path: str, deadline: float) -> Iterator[Mapping[str, Any]]:
    query = {"limit": str(_PAGE)}
    while True:
        page = _get(client, f"{path}?{urlencode(query)}", deadline)
        yield page
        if page["next_cursor"] is None:
            return
        query["cursor"] = page["next_cursor"]


def _get(client: "ServiceClient", path: str, deadline: float) -> Mapping[str, Any]:
    from library_common.service_client import Answered  # noqa: PLC0415 - see above

    answer = client.get(path, deadline=deadline)
    if not isinstance(answer, Answered):
        # A 404 is a failure, too: for a member without data the services answer an empty list.
        raise OtherServiceUnavailable
    return answer.body
