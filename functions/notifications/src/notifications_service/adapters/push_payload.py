"""Push messages in the form of Apple's and Google's services, and within their length limits."""

import json
from collections.abc import Callable
from typing import Any

from notifications_service.application.ports import Rendered
from notifications_service.domain.template_data import one_line, several_lines

MOST_BYTES = 4000
"""Of one platform's JSON in UTF-8. APNs and FCM take 4,096; this leaves some room for what SNS writes differently."""

_MOST_OF_TITLE = 1000
"""Bytes of JSON that a title may have, so that there is room for the text."""

_DOTS = "…"


def push_payload(message: Rendered) -> str:
    """For all platforms; SNS takes the part for the device's own. A text that is too long is cut."""
    title = _cut(message.subject, one_line, lambda text: text, _MOST_OF_TITLE)

    def apple(body: str) -> Any:
        return {"aps": {"alert": {"title": title, "body": body}}}

    def google(body: str) -> Any:
        return {"notification": {"title": title, "body": body}}

    for_apple, for_google = (
        _json(form(_cut(message.text, several_lines, form, MOST_BYTES))) for form in (apple, google)
    )
    # For platforms without a form of their own here.
    default = _cut(message.text, several_lines, lambda text: text, MOST_BYTES)
    return _json({"default": default, "APNS": for_apple, "APNS_SANDBOX": for_apple, "GCM": for_google})


def _cut(text: str, tidy: Callable[[str, int], str], form: Callable[[str], Any], most: int) -> str:
    """The longest beginning of the text that in this form has at most so many bytes, with an ellipsis if it is cut.

    tidy: cuts the text to a number of characters and closes any change of the writing direction.
    """
    if _size(form(text)) <= most:
        return text
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if _size(form(_ended(tidy(text, middle)))) <= most:
            fits = middle
        else:
            too_long = middle
    return _ended(tidy(text, fits))


def _ended(text: str) -> str:
    return f"{text.rstrip()}{_DOTS}"


def _size(document: Any) -> int:
    return len(_json(document).encode("utf-8", "surrogatepass"))


def _json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False)
