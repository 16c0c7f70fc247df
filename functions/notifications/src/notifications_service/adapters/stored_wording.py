"""Wordings that administrators stored, in the notifications table.

Items
-----
`TEMPLATE#<name>` / `<language>#v<version>`
    One version of the wording in one language: `parts` {part: {field: source}}, `at`, `by` (an actor, no name).
    Versions count through all languages of a template. Written once, never changed, never expired: what was sent can
    be looked up. At most 80 KB (eight fields of 10 KB).
`TEMPLATE#<name>` / `NEWEST`
    `version`, `languages` {language: the version that counts}, `changes` (the last twenty). About 2 KB. A language that
    was withdrawn is not in `languages`.

Access patterns
---------------
What counts now: one BatchGetItem of all NEWEST, at most once a minute for each process that renders, and one GetItem of
a version, once. A new version, or withdrawing one: one transaction of the two items, on the version that was read: of
two administrators who change the same one is told to read again, and a repeat that already happened is told so, too.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import ABSENT, ConditionFailed, Expression, Item, Put, Table
from notifications_service.application.wording_ports import Change, Newest, TemplateChanged
from notifications_service.domain.template_parts import Part, Wording

_NEWEST = "NEWEST"
_CHANGES_KEPT = 20


class DynamoWording:
    """Implements `application.wording_ports.StoredWording`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def newest(self, names: Sequence[str]) -> dict[str, Newest]:
        found = self._table.get_many([{"pk": _pk(name), "sk": _NEWEST} for name in names])
        stored = {item["pk"]: _newest(item) for item in found}
        return {name: stored.get(_pk(name), Newest()) for name in names}

    def wording(self, name: str, language: str, version: int) -> Wording:
        item = self._table.get({"pk": _pk(name), "sk": _version_key(language, version)})
        return {Part(part): dict(fields) for part, fields in (item or {}).get("parts", {}).items()}

    def add(self, name: str, before: Newest, change: Change, wording: Wording) -> None:
        languages = {language: version for language, version in before.languages.items() if language != change.language}
        if not change.withdrawn:
            languages[change.language] = change.version
        changes = [_stored_change(kept) for kept in (change, *before.changes)][:_CHANGES_KEPT]
        unchanged = (
            Expression("#v = :v", names={"v": "version"}, values={"v": before.version}) if before.version else ABSENT
        )
        writes = [
            Put(
                {
                    "pk": _pk(name),
                    "sk": _version_key(change.language, change.version),
                    **_stored_change(change),
                    "parts": {part.value: dict(fields) for part, fields in wording.items()},
                },
                ABSENT,
            ),
            Put(
                {
                    "pk": _pk(name),
                    "sk": _NEWEST,
                    "version": change.version,
                    "languages": languages,
                    "changes": changes,
                },
                unchanged,
            ),
        ]
        try:
            self._table.transact(writes)
        except ConditionFailed as exc:
            raise TemplateChanged from exc


def _pk(name: str) -> str:
    return f"TEMPLATE#{name}"


def _version_key(language: str, version: int) -> str:
    return f"{language}#v{version:06d}"


def _newest(item: Item) -> Newest:
    return Newest(
        version=item["version"],
        languages=dict(item["languages"]),
        changes=tuple(_change(stored) for stored in item["changes"]),
    )


def _stored_change(change: Change) -> dict[str, Any]:
    return {
        "version": change.version,
        "language": change.language,
        "at": to_rfc3339(change.at),
        "by": change.by,
        "withdrawn": change.withdrawn,
    }


def _change(stored: dict[str, Any]) -> Change:
    at: datetime = from_rfc3339(stored["at"])
    return Change(stored["version"], stored["language"], at, stored["by"], stored["withdrawn"])
