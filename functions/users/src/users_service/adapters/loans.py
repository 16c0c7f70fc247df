"""The loans service over HTTP, behind the port of `application.ports`.

Asked when somebody leaves or wants their data, which is seldom: what it takes is made and imported then.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from users_service.domain.errors import NeighbourUnavailable

if TYPE_CHECKING:
    from library_common.service_client import ServiceClient

_PAGE = 100


class HttpMembersLoans:
    """Implements `application.ports.MembersLoans`. `client` answers the same one each time."""

    def __init__(self, client: "Callable[[], ServiceClient]") -> None:
        self._client = client

    def open_loans(self, user_id: str, deadline: float) -> int:
        return int(self._get(f"/api/loans/obligations/{user_id}", deadline)["open_loans"])

    def history(self, user_id: str, deadline: float) -> list[Mapping[str, Any]]:
        loans: list[Mapping[str, Any]] = []
        cursor: str | None = None
        while True:
            query = {"limit": str(_PAGE), **({"cursor": cursor} if cursor is not None else {})}
            page = self._get(f"/api/loans/user/{user_id}?{urlencode(query)}", deadline)
            loans.extend(page["items"])
            cursor = page["next_cursor"]
            if cursor is None:
                return loans

    def _get(self, path: str, deadline: float) -> Mapping[str, Any]:
        from library_common.service_client import Answered  # noqa: PLC0415 - see above

        answer = self._client().get(path, deadline=deadline)
        if not isinstance(answer, Answered):
            # Also "not found": of whom nothing is known, loans answers an empty list.
            raise NeighbourUnavailable
        return answer.body
