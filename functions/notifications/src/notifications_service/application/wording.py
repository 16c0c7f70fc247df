"""How notices are worded: what there is, trying out another wording, using it, and going back to the built-in one."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from library_common.clock import Clock
from library_common.problems import StaleVersion
from notifications_service.application.wording_ports import (
    BuiltInWording,
    Change,
    Newest,
    Shown,
    StoredWording,
    TemplateChanged,
    Workshop,
)
from notifications_service.domain.errors import InvalidFields, TemplateNotFound, TemplateRefused, VersionNotFound
from notifications_service.domain.kinds import Kind
from notifications_service.domain.languages import fall_back
from notifications_service.domain.template_fields import SAMPLE_GROUPS, FieldType, fields_of, samples_of
from notifications_service.domain.template_parts import DIGEST, TEMPLATE_NAMES, Part, PartText, Wording, parts_of


@dataclass(frozen=True)
class Listed:
    """One template: in which languages it is built in, in which it is stored."""

    name: str
    version: int
    built_in: tuple[str, ...]
    stored: tuple[str, ...]


@dataclass(frozen=True)
class InLanguage:
    """The wording that counts in one language; `stored` names the parts that an administrator wrote."""

    language: str
    parts: Wording
    stored: frozenset[Part]


@dataclass(frozen=True)
class Template:
    """One template with all its wordings. texts: what was stored with versions, of those that were asked for."""

    name: str
    newest: Newest
    languages: tuple[InLanguage, ...]
    texts: Mapping[int, Wording] = field(default_factory=dict)


@dataclass(frozen=True)
class Templating:
    """The use cases."""

    stored: StoredWording
    built_in: BuiltInWording
    workshop: Workshop
    default_language: str
    clock: Clock

    def all(self) -> list[Listed]:
        """Every template there is."""
        newest = self.stored.newest(TEMPLATE_NAMES)
        return [
            Listed(name, newest[name].version, self.built_in.languages(), tuple(sorted(newest[name].languages)))
            for name in TEMPLATE_NAMES
        ]

    def one(self, name: str, version: int | None = None) -> Template:
        """version: the one whose text is wanted as well, of the latest. Raises TemplateNotFound, VersionNotFound."""
        _known(name)
        newest = self.stored.newest([name])[name]
        languages = sorted({*self.built_in.languages(), *newest.languages})
        texts = {version: self._text(name, newest, version)} if version is not None else {}
        return Template(name, newest, tuple(self._in(name, language, newest) for language in languages), texts)

    def put(self, name: str, language: str, wording: Wording, *, accepted: frozenset[int] | None, by: str) -> Template:
        """Uses this wording from now on (within a minute). accepted: the versions the caller knows, None for any.

        The same wording again makes no further version. Raises TemplateNotFound, InvalidFields, TemplateRefused,
        StaleVersion.
        """
        _known(name)
        _require_parts(name, wording)
        if wrong := self.workshop.check(name, language, wording):
            raise TemplateRefused(*wrong)
        newest = self._accepted(name, accepted)
        version = newest.languages.get(language)
        if version is None or self.stored.wording(name, language, version) != wording:
            self._add(name, newest, Change(newest.version + 1, language, self.clock.now(), by), wording)
        return self.one(name)

    def withdraw(self, name: str, language: str, *, accepted: frozenset[int] | None, by: str) -> None:
        """Back to the built-in wording. Nothing to withdraw is no error. Raises TemplateNotFound, StaleVersion."""
        _known(name)
        newest = self._accepted(name, accepted)
        if language in newest.languages:
            change = Change(newest.version + 1, language, self.clock.now(), by, withdrawn=True)
            self._add(name, newest, change, {})

    def preview(
        self, name: str, language: str | None, wording: Wording | None, data: Mapping[str, Any]
    ) -> dict[Part, Shown]:
        """The given parts (or all that count now) filled in; nothing is stored.

        data: in place of samples. Raises TemplateNotFound, InvalidFields, TemplateRefused.
        """
        _known(name)
        if wording is not None:
            _require_parts(name, wording)
        _require_fields(name, data)
        language = language or self.default_language
        tried = {part: (language, text) for part, text in wording.items()} if wording else self._current(name, language)
        samples = self._samples(name, language)
        shown: dict[Part, Shown] = {}
        refused: list[tuple[str, str]] = []
        for part, (written_in, text) in tried.items():
            try:
                shown[part] = self.workshop.show(name, part, written_in, {**samples, **data}, text)
            except TemplateRefused as exc:
                refused += exc.errors
        if refused:
            raise TemplateRefused(*refused)
        return shown

    def _samples(self, name: str, language: str) -> dict[str, Any]:
        """Of a digest with groups as its reader would get them."""
        samples = samples_of(name)
        if name == DIGEST:
            with suppress(TemplateRefused):
                samples["groups"] = [self._group(kind, titles, language) for kind, titles in SAMPLE_GROUPS.items()]
        return samples

    def _group(self, kind: Kind, titles: Sequence[str], language: str) -> dict[str, Any]:
        written_in, text = self._current(kind.value, language)[Part.MANY]
        about = {**samples_of(kind.value), "count": len(titles)}
        shown = [
            self.workshop.show(kind.value, Part.MANY, written_in, {**about, "title": title}, text) for title in titles
        ]
        return {"heading": shown[0].fields["heading"], "lines": [each.fields["line"] for each in shown]}

    def _current(self, name: str, language: str) -> dict[Part, tuple[str, PartText]]:
        """The parts that count for a reader of this language, each with its own; read now, not remembered."""
        newest = self.stored.newest([name])[name]
        found: dict[Part, tuple[str, PartText]] = {}
        for tag in fall_back(language, self.default_language):
            for part, text in self._in(name, tag, newest).parts.items():
                found.setdefault(part, (tag, text))
        return {part: found[part] for part in parts_of(name)}

    def _in(self, name: str, language: str, newest: Newest) -> InLanguage:
        version = newest.languages.get(language)
        stored = self.stored.wording(name, language, version) if version else {}
        built_in = self.built_in.wording(name, language) or {}
        return InLanguage(language, {**built_in, **stored}, frozenset(stored))

    def _text(self, name: str, newest: Newest, version: int) -> Wording:
        change = next((change for change in newest.changes if change.version == version), None)
        if change is None:
            raise VersionNotFound
        return self.stored.wording(name, change.language, version)

    def _accepted(self, name: str, accepted: frozenset[int] | None) -> Newest:
        newest = self.stored.newest([name])[name]
        if accepted is not None and newest.version not in accepted:
            raise _stale()
        return newest

    def _add(self, name: str, before: Newest, change: Change, wording: Wording) -> None:
        try:
            self.stored.add(name, before, change, wording)
        except TemplateChanged:
            raise _stale() from None


def _known(name: str) -> None:
    if name not in TEMPLATE_NAMES:
        raise TemplateNotFound


def _require_parts(name: str, wording: Wording) -> None:
    if not wording:
        raise InvalidFields(("body", "says nothing: give email, sms, short or many"))
    if unknown := [part for part in wording if part not in parts_of(name)]:
        raise InvalidFields(*((part.value, "is not a part of this template") for part in unknown))


def _require_fields(name: str, data: Mapping[str, Any]) -> None:
    fields = {field.name: field.type for field in fields_of(name) if field.type is not FieldType.GROUPS}
    wrong = [(f"data.{given}", "is not a field of this template") for given in data if given not in fields]
    wrong += [
        (f"data.{given}", "is an amount with a currency")
        for given, value in data.items()
        if fields.get(given) is FieldType.MONEY and not isinstance(value, Mapping)
    ]
    wrong += [
        (f"data.{given}", "is text")
        for given, value in data.items()
        if given in fields and fields[given] is not FieldType.MONEY and not isinstance(value, str)
    ]
    if wrong:
        raise InvalidFields(*wrong)


def _stale() -> StaleVersion:
    return StaleVersion("It has been changed since you read it; read it again.")
