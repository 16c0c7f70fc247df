"""A busy day as its members were told of it, in their lists and by e-mail: each kind of notice of each title."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tests.support.busy_day import Truth
from tests.support.library_client import LibraryClient, ok

type Mentions = Counter[tuple[str, str]]
"""By kind and title."""

ISSUED, RETURNED, RENEWED = "loan_issued", "loan_returned", "loan_renewed"

_ALONE = {
    ISSUED: re.compile(r"You borrowed (.+?)\. It is due"),
    RETURNED: re.compile(r"Thank you: (.+?) (?:came back on|is back with us)"),
    RENEWED: re.compile(r"(?m)^(.+?) was renewed\."),
}
_TOGETHER = {
    ISSUED: re.compile(r"You borrowed (an item|\d+ items)"),
    RETURNED: re.compile(r"You returned (an item|\d+ items)"),
    RENEWED: re.compile(r"You renewed (a loan|\d+ loans)"),
}
_LINE = re.compile(r"- (.+?)(?:, (?:now )?due on .+)?")


def to_be_mentioned(truth: Truth, member: str) -> Mentions:
    """What a member must have been told, by their loans."""
    found: Mentions = Counter()
    for loan in truth.listed:
        if loan["user_id"] == member:
            title = truth.day.titles[loan["book_id"]]
            found[ISSUED, title] += 1
            found[RETURNED, title] += loan["return_date"] is not None
            found[RENEWED, title] += loan["extensions_count"]
    return +found


def to_be_mailed(truth: Truth, member: str) -> tuple[Mentions, Mentions]:
    """What a member must have been told by e-mail, at least and at most: of the renewals of a loan that one visit
    brought only the last is told."""
    most = to_be_mentioned(truth, member)
    least: Mentions = Counter({mention: number for mention, number in most.items() if mention[0] != RENEWED})
    for loan in truth.listed:
        if loan["user_id"] == member and loan["extensions_count"]:
            least[RENEWED, truth.day.titles[loan["book_id"]]] += 1
    return least, most


def in_their_list(library: LibraryClient, member: str, role: str) -> tuple[Mentions, list[str]]:
    """What stands in a member's list about loans, and the kinds of all else there."""
    mentions: Mentions = Counter()
    others: list[str] = []
    ids: set[str] = set()
    params = {"limit": "100"}
    while True:
        page = ok(
            library.http.get(f"/api/notifications/user/{member}", params=params, headers=library.bearer(member, role))
        )
        for notice in page["items"]:
            assert notice["id"] not in ids, "a notice on two pages"
            ids.add(notice["id"])
            if notice["kind"] in _ALONE:
                mentions[notice["kind"], _quoted(notice)] += 1
            else:
                others.append(notice["kind"])
        if page["next_cursor"] is None:
            return mentions, others
        params["cursor"] = page["next_cursor"]


def in_mails(bodies: Iterable[str]) -> Mentions:
    """What e-mails say about loans: a visit may be told of in one message."""
    return sum((_in_mail(body) for body in bodies), Counter())


def _in_mail(body: str) -> Mentions:
    mentions: Mentions = Counter()
    kind: str | None = None
    for line in body.splitlines():
        heading = next((each for each, pattern in _TOGETHER.items() if pattern.fullmatch(line)), None)
        if heading is not None:
            kind = heading
        elif kind is not None and (found := _LINE.fullmatch(line)):
            mentions[kind, found[1]] += 1
        elif not line.startswith("- "):
            kind = None
    if not mentions:
        mentions.update((each, found) for each, pattern in _ALONE.items() for found in pattern.findall(body))
    return mentions


def _quoted(notice: Mapping[str, Any]) -> str:
    return str(notice["heading"]).partition("“")[2].partition("”")[0]
