"""Templates: listing them, trying out another text, using it, and going back to the built-in one."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from library_common.clock import Clock
from library_common.problems import StaleVersion
from library_common.versions import VersionConflict
from notifications_service.application.built_in_templates import LANGUAGES, built_in_text
from notifications_service.application.ports import Change, RenderedPart, TemplateEditor, TemplateHead, TemplateStore
from notifications_service.domain.errors import InvalidFields, TemplateNotFound, TemplateRefused, VersionNotFound
from notifications_service.domain.kinds import Kind
from notifications_service.domain.locales import fall_back
from notifications_service.domain.templates import (
    DIGEST,
    SAMPLE_GROUPS,
    TEMPLATE_NAMES,
    FieldType,
    Part,
    PartText,
    TemplateText,
    fields_of,
    parts_of,
    samples_of,
)


@dataclass(frozen=True)
class Listed:
    """One template: in which languages it is built in, in which it is stored."""

    name: str
    version: int
    built_in: tuple[str, ...]
    stored: tuple[str, ...]


@dataclass(frozen=True)
class InLanguage:
    """The text in use in one language. stored: the parts that an administrator wrote."""

    language: str
    parts: TemplateText
    stored: frozenset[Part]


@dataclass(frozen=True)
class Template:
    """One template in all its languages. texts: the stored text of the requested versions."""

    name: str
    head: TemplateHead
    languages: tuple[InLanguage, ...]
    texts: Mapping[int, TemplateText] = field(default_factory=dict)


@dataclass(frozen=True)
class TemplateAdministration:
    """The use cases."""

    stored: TemplateStore
    editor: TemplateEditor
    default_language: str
    clock: Clock

    def all(self) -> list[Listed]:
        """Every template there is."""
        heads = self.stored.heads(TEMPLATE_NAMES)
        return [
            Listed(name, heads[name].version, LANGUAGES, tuple(sorted(heads[name].languages)))
            for name in TEMPLATE_NAMES
        ]

    def one(self, name: str, version: int | None = None) -> Template:
        """version: one of the latest, to add its text. Raises TemplateNotFound, VersionNotFound."""
        _known(name)
        head = self._head(name)
        languages = sorted({*LANGUAGES, *head.languages})
        texts = {version: self._text(name, head, version)} if version is not None else {}
        return Template(name, head, tuple(self._in(name, language, head) for language in languages), texts)

    def put(
        self, name: str, language: str, text: TemplateText, *, accepted: frozenset[int] | None, by: str
    ) -> Template:
        """Puts this text into use, within a minute. accepted: the versions the caller knows, None for any.

        The same text again makes no further version. Raises TemplateNotFound, InvalidFields, TemplateRefused,
        StaleVersion.
        """
        _known(name)
        _require_parts(name, text)
        if wrong := self.editor.check(name, language, text):
            raise TemplateRefused(*wrong)
        head = self._accepted(name, accepted)
        version = head.languages.get(language)
        if version is None or self.stored.text(name, language, version) != text:
            self._add(name, head, Change(head.version + 1, language, self.clock.now(), by), text)
        return self.one(name)

    def withdraw(self, name: str, language: str, *, accepted: frozenset[int] | None, by: str) -> None:
        """Back to the built-in text. Nothing to withdraw is no error. Raises TemplateNotFound, StaleVersion."""
        _known(name)
        head = self._accepted(name, accepted)
        if language in head.languages:
            change = Change(head.version + 1, language, self.clock.now(), by, withdrawn=True)
            self._add(name, head, change, {})

    def preview(
        self, name: str, language: str | None, text: TemplateText | None, data: Mapping[str, Any]
    ) -> dict[Part, RenderedPart]:
        """The given parts (or all in use now) filled in; nothing is stored.

        data: replaces the samples. Raises TemplateNotFound, InvalidFields, TemplateRefused.
        """
        _known(name)
        if text is not None:
            _require_parts(name, text)
        _require_fields(name, data)
        language = language or self.default_language
        tried = (
            {part: (language, part_text) for part, part_text in text.items()} if text else self._current(name, language)
        )
        samples = self._samples(name, language)
        shown: dict[Part, RenderedPart] = {}
        refused: list[tuple[str, str]] = []
        for part, (written_in, part_text) in tried.items():
            try:
                shown[part] = self.editor.show(name, part, written_in, {**samples, **data}, part_text)
            except TemplateRefused as exc:
                refused += exc.errors
        if refused:
            raise TemplateRefused(*refused)
        return shown

    def _samples(self, name: str, language: str) -> dict[str, Any]:
        """For a digest, with groups as its reader would get them."""
        samples = samples_of(name)
        if name == DIGEST:
            with suppress(TemplateRefused):
                samples["groups"] = [self._group(kind, titles, language) for kind, titles in SAMPLE_GROUPS.items()]
        return samples

    def _group(self, kind: Kind, titles: Sequence[str], language: str) -> dict[str, Any]:
        written_in, text = self._current(kind.value, language)[Part.MANY]
        about = {**samples_of(kind.value), "count": len(titles)}
        shown = [
            self.editor.show(kind.value, Part.MANY, written_in, {**about, "title": title}, text) for title in titles
        ]
        return {"heading": shown[0].fields["heading"], "lines": [each.fields["line"] for each in shown]}

    def _current(self, name: str, language: str) -> dict[Part, tuple[str, PartText]]:
        """The parts for a reader of this language, each with the language it is written in. Not cached."""
        head = self._head(name)
        found: dict[Part, tuple[str, PartText]] = {}
        for tag in fall_back(language, self.default_language):
            for part, text in self._in(name, tag, head).parts.items():
                found.setdefault(part, (tag, text))
        return {part: found[part] for part in parts_of(name)}

    def _in(self, name: str, language: str, head: TemplateHead) -> InLanguage:
        version = head.languages.get(language)
        stored = self.stored.text(name, language, version) if version else {}
        built_in = built_in_text(name, language) or {}
        return InLanguage(language, {**built_in, **stored}, frozenset(stored))

    def _text(self, name: str, head: TemplateHead, version: int) -> TemplateText:
        change = next((change for change in head.changes if change.version == version), None)
        if change is None:
            raise VersionNotFound
        return self.stored.text(name, change.language, version)

    def _accepted(self, name: str, accepted: frozenset[int] | None) -> TemplateHead:
        head = self._head(name)
        if accepted is not None and head.version not in accepted:
            raise _stale()
        return head

    def _head(self, name: str) -> TemplateHead:
        return self.stored.heads([name])[name]

    def _add(self, name: str, before: TemplateHead, change: Change, text: TemplateText) -> None:
        try:
            self.stored.add(name, before, change, text)
        except VersionConflict:
            raise _stale() from None


def _known(name: str) -> None:
    if name not in TEMPLATE_NAMES:
        raise TemplateNotFound


def _require_parts(name: str, text: TemplateText) -> None:
    if not text:
        raise InvalidFields(("body", "give at least one of email, sms, short and many"))
    if unknown := [part for part in text if part not in parts_of(name)]:
        raise InvalidFields(*((part.value, "is not a part of this template") for part in unknown))


def _require_fields(name: str, data: Mapping[str, Any]) -> None:
    fields = {field.name: field.type for field in fields_of(name) if field.type is not FieldType.GROUPS}
    wrong = [(f"data.{given}", "is not a field of this template") for given in data if given not in fields]
    wrong += [
        (f"data.{given}", "must be an amount with a currency")
        for given, value in data.items()
        if fields.get(given) is FieldType.MONEY and not isinstance(value, Mapping)
    ]
    wrong += [
        (f"data.{given}", "must be text")
        for given, value in data.items()
        if given in fields and fields[given] is not FieldType.MONEY and not isinstance(value, str)
    ]
    if wrong:
        raise InvalidFields(*wrong)


def _stale() -> StaleVersion:
    return StaleVersion("It has been changed since you read it; read it again.")
