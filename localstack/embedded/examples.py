"""The commands `make run` suggests: they work as they are, pasted into any shell."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

import urllib3

from localstack.embedded.errors import Refusal
from localstack.embedded.state import Account, StackFile

_BORROWER = "faculty"


def commands_to_try(stack: StackFile) -> list[str]:
    """A login, a search, a checkout of a title that is on the shelf, and the borrower's history.

    Asks the running system for such a title; refuses when it does not answer as it should. The
    checkout is left out when the library has nothing to lend, and all that takes a token when the borrower has none.
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
            "if the saved state is of an older version, `make reset` forgets it."
        )
    return document
