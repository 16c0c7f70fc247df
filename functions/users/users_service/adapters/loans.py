"""The loans service over HTTP, behind the port of `application.ports`."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from library_common.service_client import Answered, NotFound, Refused, ServiceClient, Unavailable, UnknownOutcome
from users_service.domain.errors import NeighbourUnavailable

_PAGE = 100


class HttpMembersLoans:
    """Implements `application.ports.MembersLoans`."""

    def __init__(self, client: ServiceClient) -> None:
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
        match self._client.get(path, deadline=deadline):
            case Answered(body=body):
                return body
            case NotFound() | Refused() | Unavailable() | UnknownOutcome():
                raise NeighbourUnavailable
