"""One-time codes as people get them: out of the mailbox, into the API."""

import re
import secrets

import httpx

from localstack.embedded.mail import Message
from localstack.embedded.stack import LocalStack
from tests.support.library_client import LibraryClient, eventually

NEW_PASSWORD = "harbour-quilt-saffron-77"


def address() -> str:
    return f"codes.{secrets.token_hex(6)}@example.org"


def codes(stack: LocalStack, to: str) -> list[Message]:
    """The messages with a code. Members are told of other things, too."""
    return [message for message in stack.messages(to) if "code" in f"{message.subject} {message.body}"]


def code_in_mailbox(stack: LocalStack, to: str, number: int = 1) -> str:
    """The code in the newest message with one, once there are so many."""
    found = eventually(
        lambda: messages if len(messages := codes(stack, to)) >= number else [], f"code {number} to {to}"
    )
    match = re.search(r"(?<!\d)\d{6}(?!\d)", found[-1].body)
    assert match, found[-1]
    return match.group()


def post(library: LibraryClient, path: str, **body: str) -> httpx.Response:
    return library.http.post(f"/api/auth/{path}", json=body)


def done(response: httpx.Response) -> None:
    assert (response.status_code, response.content) == (204, b""), response.text
