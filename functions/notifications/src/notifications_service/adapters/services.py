"""The users and loans services over HTTP, behind the ports of `application.ports`."""

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from library_common.clock import from_rfc3339
from library_common.service_client import Answered, NotFound, Result, ServiceClient, path_segment
from notifications_service.application.ports import Account, ServiceUnavailable

DEADLINE_SECONDS = 6.0
"""For one request, retries included."""

_STATUSES_OUT = frozenset({"ACTIVE", "OVERDUE"})


class HttpAccounts:
    """Implements `application.ports.Accounts`."""

    def __init__(self, client: ServiceClient, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._monotonic = monotonic

    def find(self, user_id: str) -> Account | None:
        answer = self._client.get(f"/api/users/{path_segment(user_id)}", deadline=self._monotonic() + DEADLINE_SECONDS)
        body = _answered(answer)
        return _account(body) if body is not None else None

    def ids(self, role: str | None, status: str | None, limit: int, cursor: str | None) -> tuple[list[str], str | None]:
        wanted = {"role": role, "status": status, "cursor": cursor}
        query = {"limit": str(limit), **{name: value for name, value in wanted.items() if value is not None}}
        path = f"/api/users?{urlencode(query)}"
        body = _answered(self._client.get(path, deadline=self._monotonic() + DEADLINE_SECONDS))
        if body is None:
            raise ServiceUnavailable
        return [str(item["id"]) for item in body["items"]], body.get("next_cursor")


class HttpLoans:
    """Implements `application.ports.Loans`."""

    def __init__(self, client: ServiceClient, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._monotonic = monotonic

    def still_out(self, loan_id: str, due_date: str) -> bool:
        try:
            wanted = from_rfc3339(due_date)
        except (ValueError, OverflowError):
            # No loan is due at an invalid time.
            return False
        answer = self._client.get(f"/api/loans/{path_segment(loan_id)}", deadline=self._monotonic() + DEADLINE_SECONDS)
        loan = _answered(answer)
        return (
            loan is not None
            and loan["status"] in _STATUSES_OUT
            and not loan.get("claimed_returned")
            and from_rfc3339(loan["due_date"]) == wanted
        )


def _answered(answer: Result) -> Mapping[str, Any] | None:
    """The body; None for 404. Raises ServiceUnavailable for everything else."""
    match answer:
        case Answered(body=body):
            return body
        case NotFound():
            return None
    raise ServiceUnavailable


def _account(body: Mapping[str, Any]) -> Account:
    preferences = body.get("preferences") or {}
    # A number that was not set with the password may be anybody's.
    confirmed = body.get("phone_confirmed") is True
    return Account(
        id=body["id"],
        name=body["name"],
        email=body["email"],
        phone=body.get("phone") if confirmed else None,
        language=preferences.get("language"),
        takes_email=preferences.get("notification_email", True),
        takes_sms=preferences.get("notification_sms", False),
        has_proved_email=body.get("email_verified") is True,
    )
