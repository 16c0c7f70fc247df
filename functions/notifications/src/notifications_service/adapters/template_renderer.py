"""Renders notices: with the stored template or the built-in one, in the language nearest to the reader's.

When a stored template cannot be filled in, the built-in one is used: it is counted and logged, by name and version, and
the notice goes out. Jinja2 is imported when the first template is rendered.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from library_common.telemetry import count, logger
from library_common.ttl_cache import TtlCache
from notifications_service.application.built_in_templates import built_in_text, layout, phrases
from notifications_service.application.ports import Rendered, RenderedPart, TemplateFailed, TemplateHead, TemplateStore
from notifications_service.domain import text_messages
from notifications_service.domain.errors import TemplateRefused
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.locales import fall_back
from notifications_service.domain.template_data import one_line, plain, several_lines
from notifications_service.domain.templates import (
    DIGEST,
    FIELDS_OF_PART,
    LIBRARY_NAME,
    MAX_ITEMS,
    ONE_LINE,
    TEMPLATE_NAMES,
    Field,
    FieldType,
    Part,
    PartText,
    TemplateText,
    fields_of,
    part_for,
    samples_of,
)

if TYPE_CHECKING:
    from notifications_service.adapters.template_sandbox import Compiled, Sandbox

CACHED_SECONDS = 55.0
"""A new template is used everywhere within a minute."""

_GRACE_SECONDS = 3600.0
_CUTTABLE = frozenset({FieldType.TEXT, FieldType.PROSE})
_MAX_CHARACTERS = {"subject": 200, "heading": 200, "line": 300}
_LISTED = (MAX_ITEMS, 20, 5, 1)
"""How many notices a message lists one by one: the first number that keeps it short enough."""


@dataclass(frozen=True)
class _Source:
    """One text of a part. version: 0 for the built-in one."""

    language: str
    text: PartText
    version: int = 0


class JinjaTemplateRenderer:
    """Implements `application.ports.Templates` and `application.ports.TemplateEditor`."""

    def __init__(
        self,
        stored: TemplateStore,
        *,
        library_name: str,
        default_language: str,
        library_zone: tzinfo,
        cached_seconds: float = CACHED_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._library_name = library_name
        self._default_language = default_language
        self._library_zone = library_zone
        # Of all templates at once: one small read a minute, however many kinds a page or a digest has.
        self._heads: TtlCache[dict[str, TemplateHead]] = TtlCache(
            lambda: stored.heads(TEMPLATE_NAMES), seconds=cached_seconds, grace=_GRACE_SECONDS, monotonic=monotonic
        )
        # Versions never change.
        self._version = lru_cache(maxsize=256)(stored.text)

    # -- for members --------------------------------------------------------------------------

    def render(self, kind: Kind, channel: Channel, language: str | None, data: Mapping[str, Any]) -> Rendered:
        fields = self._filled(kind.value, part_for(channel), language, data).fields
        return _rendered(channel, fields)

    def render_many(
        self, notices: list[tuple[Kind, Mapping[str, Any]]], channel: Channel, language: str | None
    ) -> Rendered:
        if len(notices) == 1:
            kind, data = notices[0]
            return self.render(kind, channel, language, data)
        member = next((data["member_name"] for _, data in notices if data.get("member_name")), None)
        about = {"member_name": member, "count": len(notices)}
        for room in _LISTED:
            groups = self._groups(notices, language, room)
            try:
                shown = self._filled(DIGEST, part_for(channel), language, {**about, "groups": groups})
            except TemplateFailed:
                if room == _LISTED[-1]:
                    raise
            else:
                return _rendered(channel, shown.fields)
        raise AssertionError("unreachable")

    def _groups(
        self, notices: list[tuple[Kind, Mapping[str, Any]]], language: str | None, room: int
    ) -> list[dict[str, Any]]:
        """The notices by kind, in the order in which each kind comes first. `room` are listed, the others counted."""
        by_kind: dict[Kind, list[Mapping[str, Any]]] = {}
        for kind, data in notices:
            by_kind.setdefault(kind, []).append(data)
        groups = []
        for kind, of_kind in by_kind.items():
            listed = of_kind[: max(1, room)]
            room -= len(listed)
            about = [{**data, "count": len(of_kind)} for data in listed]
            shown = [self._filled(kind.value, Part.MANY, language, data) for data in about]
            lines = [each.fields["line"] for each in shown][: MAX_ITEMS - 1 if len(of_kind) > MAX_ITEMS else None]
            if len(lines) < len(of_kind):
                more = str(phrases(shown[0].language)["more"])
                lines.append(more.replace("#", str(len(of_kind) - len(lines))))
            groups.append({"heading": shown[0].fields["heading"], "lines": lines})
        return groups

    def _filled(self, name: str, part: Part, language: str | None, data: Mapping[str, Any]) -> RenderedPart:
        """Raises TemplateFailed."""
        broken = False
        for source in self._sources(name, part, language):
            if broken and source.version:
                continue
            try:
                return self._fill(name, part, source, data)
            except TemplateRefused:
                if source.version:
                    broken = True
                    count("StoredTemplateFailed", template=name)
                    logger().warning(
                        "a stored template cannot be rendered",
                        extra={"template": name, "language": source.language, "version": source.version},
                    )
        raise TemplateFailed(f"The template {name} cannot be rendered.")

    def _sources(self, name: str, part: Part, language: str | None) -> Iterator[_Source]:
        head = self._heads.get()[name]
        for tag in fall_back(language, self._default_language):
            version = head.languages.get(tag)
            if version and (stored := self._version(name, tag, version).get(part)):
                yield _Source(tag, stored, version)
            built_in = built_in_text(name, tag)
            if built_in is not None and part in built_in:
                yield _Source(tag, built_in[part])

    # -- for administrators ----------------------------------------------------------------------

    def check(self, name: str, language: str, text: TemplateText) -> list[tuple[str, str]]:
        """What is wrong with it: (field like `email.subject`, why), tried on the samples."""
        found: list[tuple[str, str]] = []
        samples = samples_of(name)
        sparse = {
            field.name: samples[field.name] for field in fields_of(name) if not field.optional and field.name in samples
        }
        for part, part_text in text.items():
            source = _Source(language, part_text)
            try:
                self._fill(name, part, source, sparse)
                shown = self._fill(name, part, source, samples)
            except TemplateRefused as exc:
                found += exc.errors
                continue
            found += [
                (f"{part}.{field}", "shows nothing")
                for field, written in shown.fields.items()
                if not written.strip() and field != "line"
            ]
            if part is Part.SMS and text_messages.over(message := shown.fields["text"]) > 0:
                found.append(("sms.text", f"is longer than {text_messages.room(message)} characters"))
        return found

    def show(self, name: str, part: Part, language: str, data: Mapping[str, Any], text: PartText) -> RenderedPart:
        """A part filled in. Raises TemplateRefused."""
        return self._fill(name, part, _Source(language, text), data)

    # -- filling in ---------------------------------------------------------------------------

    def _fill(self, name: str, part: Part, source: _Source, data: Mapping[str, Any]) -> RenderedPart:
        """Raises TemplateRefused with the fields that cannot be rendered."""
        fields = fields_of(name, several=part is Part.MANY)
        given = {LIBRARY_NAME.name: self._library_name, "count": 1, **{k: v for k, v in data.items() if v is not None}}
        values = plain(fields, given, phrases(source.language))
        if part is Part.SMS:
            # So that what is too long is found in the text, and can be cut.
            values |= {f.name: one_line(values[f.name]) for f in fields if f.type is FieldType.PROSE}
        shown = self._written(fields, part, source, values)
        if part is Part.SMS:
            return RenderedPart(source.language, self._fitted(fields, source, values, shown))
        return RenderedPart(source.language, shown)

    def _written(
        self, fields: tuple[Field, ...], part: Part, source: _Source, values: Mapping[str, Any]
    ) -> dict[str, str]:
        from notifications_service.adapters.template_sandbox import (  # noqa: PLC0415 - see the module's docstring
            RenderingFailed,
            SourceRefused,
        )

        names = frozenset(field.name for field in fields)
        shown: dict[str, str] = {}
        refused: list[tuple[str, str]] = []
        for field in FIELDS_OF_PART[part]:
            if field not in source.text:
                continue
            html = field == "html"
            try:
                template = _compiled(source.text[field], names, html=html)
                written = template.render(values, language=source.language, zone=self._library_zone)
            except (SourceRefused, RenderingFailed) as exc:
                refused.append((f"{part}.{field}", str(exc)))
                continue
            if html:
                shown[field] = layout().replace("{language}", source.language).replace("{content}", written.strip())
            elif (part, field) in ONE_LINE:
                shown[field] = one_line(written, _MAX_CHARACTERS.get(field))
            else:
                shown[field] = several_lines(written).strip()
        if refused:
            raise TemplateRefused(*refused)
        return shown

    def _fitted(
        self,
        fields: tuple[Field, ...],
        source: _Source,
        values: dict[str, Any],
        shown: dict[str, str],
    ) -> dict[str, str]:
        """A text message is one message: long titles and texts are cut, longest first.

        When a title's alphabet leaves too little room even so, the phrase for a missing one stands in for it: the rest,
        a date above all, matters more.
        """
        cut = values
        for _ in range(3):
            over = text_messages.over(text_messages.simpler(shown["text"]))
            if over <= 0:
                break
            cuttable = [f.name for f in fields if f.type in _CUTTABLE and cut[f.name] in shown["text"]]
            longest = max(cuttable, key=lambda name: len(cut[name]), default=None)
            if longest is None:
                break
            cut = {**cut, longest: text_messages.shortened(cut[longest], over)}
            shown = self._written(fields, Part.SMS, source, cut)
        text = text_messages.simpler(shown["text"])
        missing: Mapping[str, str] = phrases(source.language).get("missing", {})
        instead = {
            name: phrase
            for name, phrase in missing.items()
            if name in values and text_messages.is_gsm(phrase) and not text_messages.is_gsm(values[name])
        }
        if text_messages.over(text) <= 0 or not instead:
            return {"text": text}
        values = {**values, **instead}
        return self._fitted(fields, source, values, self._written(fields, Part.SMS, source, values))


def _rendered(channel: Channel, fields: Mapping[str, str]) -> Rendered:
    if channel is Channel.EMAIL:
        return Rendered(subject=fields["subject"], text=fields["text"], html=fields.get("html"))
    text = text_messages.cut(fields["text"]) if channel is Channel.SMS else fields["text"]
    return Rendered(subject=fields.get("heading", ""), text=text)


@lru_cache(maxsize=512)
def _compiled(source: str, names: frozenset[str], *, html: bool) -> "Compiled":
    return _sandbox(html=html).compiled(source, names)


@cache
def _sandbox(*, html: bool) -> "Sandbox":
    from notifications_service.adapters.template_sandbox import Sandbox  # noqa: PLC0415 - see the module's docstring

    return Sandbox(html=html)
