"""Templates that administrators stored, in the notifications table.

Items
-----
`TEMPLATE#<name>` / `<language>#v<version>`
    One version in one language: `parts` {part: {field: source}}, `at`, `by` (an actor, no name). Versions count through
    all languages of a template. Written once, never changed, never expired: what was sent can be looked up. At most
    80 KB (eight fields of 10 KB).
`TEMPLATE#<name>` / `NEWEST`
    `version`, `languages` {language: the version in use}, `changes` (the last twenty). About 2 KB. A language that was
    withdrawn is not in `languages`.

Access patterns
---------------
What is in use: one BatchGetItem of all NEWEST, at most once a minute for each process that renders, and one GetItem of
a version, once. A new version, or withdrawing one: one transaction of the two items, on the condition of the version
that was read. Of two administrators who change the same template one has to read again, and so has one whose request
was repeated after it took effect.
"""

from collections.abc import Sequence
from typing import Any

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import ABSENT, ConditionFailed, Expression, Item, Put, Table, Update, Write
from library_common.versions import VersionConflict
from notifications_service.adapters.dynamodb import changes, template_head_key, template_version_key
from notifications_service.application.ports import Change, TemplateHead
from notifications_service.domain.templates import Part, TemplateText

_CHANGES_KEPT = 20


class DynamoTemplates:
    """Implements `application.ports.TemplateStore`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def heads(self, names: Sequence[str]) -> dict[str, TemplateHead]:
        found = self._table.get_many([template_head_key(name) for name in names])
        stored = {item["pk"]: _head(item) for item in found}
        return {name: stored.get(template_head_key(name)["pk"], TemplateHead()) for name in names}

    def text(self, name: str, language: str, version: int) -> TemplateText:
        item = self._table.get(template_version_key(name, language, version)) or {}
        # Parts that only a newer version of this service knows are for that one to render.
        return {Part(part): dict(fields) for part, fields in item.get("parts", {}).items() if part in Part}

    def add(self, name: str, before: TemplateHead, change: Change, text: TemplateText) -> None:
        languages = {language: version for language, version in before.languages.items() if language != change.language}
        if not change.withdrawn:
            languages[change.language] = change.version
        head = {
            "version": change.version,
            "languages": languages,
            "changes": [_stored_change(kept) for kept in (change, *before.changes)][:_CHANGES_KEPT],
        }
        unchanged = (
            Expression("#version = :version_before", {"version": "version"}, {"version_before": before.version})
            if before.version
            else ABSENT
        )
        parts = {part.value: dict(fields) for part, fields in text.items()}
        version_key = template_version_key(name, change.language, change.version)
        writes: list[Write] = [
            Put({**version_key, **_stored_change(change), "parts": parts}, ABSENT),
            Update(template_head_key(name), changes(head), unchanged),
        ]
        try:
            self._table.transact(writes)
        except ConditionFailed as exc:
            raise VersionConflict from exc


def _head(item: Item) -> TemplateHead:
    return TemplateHead(
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
    return Change(stored["version"], stored["language"], from_rfc3339(stored["at"]), stored["by"], stored["withdrawn"])
