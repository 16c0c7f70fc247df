"""Logs in to demo accounts. The first administrator's password is set with a code from the mailbox."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import urllib3

from localstack.embedded.errors import Refusal
from localstack.embedded.mail import Message

type Mailbox = Callable[[str], Sequence[Message]]
"""The messages to an address, oldest first."""

_CODE = re.compile(r"\b\d{6}\b")
_CODE_DEADLINE_SECONDS = 60.0
_POLL_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Login:
    """The result of a login: an access token and its user."""

    user_id: str
    access_token: str = field(repr=False)


class LoginRefused(Refusal):
    """The API refused the login. ``code``: the problem's code."""

    def __init__(self, email: str, code: str, detail: str) -> None:
        super().__init__(f"{email} cannot log in: {detail}")
        self.code = code


def log_in(base_url: str, email: str, password: str) -> Login:
    """Raises LoginRefused, with the API's reason."""
    status, document = _post(base_url, "/api/auth/login", {"email": email, "password": password})
    if status != 200:
        raise LoginRefused(email, str(document.get("code", status)), str(document.get("detail", status)))
    return Login(user_id=str(document["user"]["id"]), access_token=str(document["access_token"]))


def log_in_first_administrator(base_url: str, email: str, password: str, mailbox: Mailbox) -> Login:
    """Logs in to the administrator's account that the deployment created.

    If it does not have this password yet, sets it with the code that the deployment sent, or with a newer code. Refuses
    when no code arrives.
    """
    try:
        return log_in(base_url, email, password)
    except LoginRefused as refused:
        if refused.code != "invalid_credentials":
            raise
    tried: set[str] = set()
    # The deployment's code may have expired or may not have arrived yet. A new code works in both cases.
    if not _set_password(base_url, email, password, mailbox, tried):
        _post(base_url, "/api/auth/password-reset", {"email": email})
        deadline = time.monotonic() + _CODE_DEADLINE_SECONDS
        while not _set_password(base_url, email, password, mailbox, tried):
            if time.monotonic() > deadline:
                raise Refusal(f"No code for the password of {email} arrived: `make reset` starts over.")
            time.sleep(_POLL_SECONDS)
    return log_in(base_url, email, password)


def _set_password(base_url: str, email: str, password: str, mailbox: Mailbox, tried: set[str]) -> bool:
    """Tries the newest code, once. Returns whether the password was set."""
    codes = [code for message in mailbox(email) for code in _CODE.findall(message.body)]
    if not codes or codes[-1] in tried:
        return False
    tried.add(codes[-1])
    body = {"email": email, "code": codes[-1], "new_password": password}
    return _post(base_url, "/api/auth/password-reset/confirm", body)[0] == 204


def _post(base_url: str, path: str, body: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Status and document of the answer. Repeats the request while the API answers 5xx: it may still be starting."""
    pause = _POLL_SECONDS
    while True:
        try:
            answer = urllib3.request("POST", base_url + path, json=body, timeout=30.0, retries=False)
            document = answer.json() if answer.data else {}
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise Refusal(f"The API does not answer POST {path}: {error}") from error
        if answer.status < 500 or pause > _LONGEST_PAUSE_SECONDS:
            return answer.status, document if isinstance(document, dict) else {}
        time.sleep(pause)
        pause *= 2
