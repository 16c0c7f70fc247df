"""The commands that `make run` suggests. They work as printed, in any shell."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

import urllib3

from localstack.embedded.errors import Refusal
from localstack.embedded.state import Account, StackFile

_BORROWER = "faculty"


def commands_to_try(stack: StackFile) -> list[str]:
    """Commands for a login, a search, a checkout of an available title, and the borrower's history.

    Asks the running system for an available title; without one there is no checkout. Without a token of the borrower
    there are only the login and the search. Refuses when the system does not answer as expected.
    """
    borrower = next(account for account in stack.accounts if account.role == _BORROWER)
    credentials = {"email": borrower.email, "password": borrower.password}
    commands = [
        _curl(stack.base_url + "/api/auth/login", body=credentials),
        _curl(stack.base_url + "/api/books?search=history&limit=3"),
    ]
    if not borrower.token:
        return commands
    shelf = _get(stack.base_url + "/api/books?available=true&limit=20")
    history = _get(f"{stack.base_url}/api/loans?user_id={borrower.user_id}&status=active&limit=100", borrower)
    borrowed = {loan["book_id"] for loan in history["items"]}
    title = next((book for book in shelf["items"] if book["id"] not in borrowed), None)
    if title is not None:
        body = {"user_id": borrower.user_id, "book_id": title["id"]}
        commands.append(_curl(stack.base_url + "/api/loans", borrower, body))
    commands.append(_curl(f"{stack.base_url}/api/loans?user_id={borrower.user_id}", borrower))
    return commands


def _curl(url: str, account: Account | None = None, body: Mapping[str, str] | None = None) -> str:
    parts = ["curl", "-s"]
    if account is not None:
        parts += ["-H", f"Authorization: Bearer {account.token}"]
    if body is not None:
        parts += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    return shlex.join([*parts, url])


def _get(url: str, account: Account | None = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {account.token}"} if account is not None else {}
    try:
        answer = urllib3.request("GET", url, headers=headers, timeout=30, retries=False)
        document = answer.json() if answer.status == 200 else None
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise Refusal(f"The API does not answer GET {url}: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        raise Refusal(
            f"The API does not answer as it should: GET {url} gave {answer.status}; "
            "if the saved state is of an older version, `make reset` deletes it."
        )
    return document
