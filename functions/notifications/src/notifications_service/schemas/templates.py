"""The templates of notices."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from library_common.clock import to_rfc3339
from library_common.http import RequestBody
from library_common.money import Money
from library_common.text import Line, Prose
from notifications_service.application.ports import RenderedPart
from notifications_service.application.templates import Listed, Template
from notifications_service.domain import text_messages
from notifications_service.domain.template_data import MAX_PROSE
from notifications_service.domain.templates import MAX_SOURCE_BYTES, FieldType, Part, TemplateText, fields_of
from notifications_service.schemas.common import Language


class LanguageQuery(BaseModel):
    """In which language."""

    model_config = ConfigDict(extra="forbid")

    language: Language


class VersionQuery(BaseModel):
    """The text of which version to show."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int | None, Field(ge=1, le=999_999, description="One of `changes`, which then has `parts`.")] = (
        None
    )


_Source = Annotated[Prose, Field(min_length=1, max_length=MAX_SOURCE_BYTES)]
_LineSource = Annotated[Line, Field(min_length=1, max_length=MAX_SOURCE_BYTES)]


class EmailShape(RequestBody):
    """An e-mail. Without `html` it is plain text."""

    subject: _LineSource
    text: _Source
    html: _Source | None = None


class SmsShape(RequestBody):
    """A text message of at most 160 characters."""

    text: _LineSource


class ShortShape(RequestBody):
    """What apps show: push messages, and the member's list of notices."""

    heading: _LineSource
    text: _Source


class ManyShape(RequestBody):
    """In a message about several notices: the heading of this kind (with `count`), and the line of each."""

    heading: _LineSource
    line: _LineSource


class PartsBody(RequestBody):
    """The text in one language; for parts left out the built-in ones are used."""

    email: EmailShape | None = None
    sms: SmsShape | None = None
    short: ShortShape | None = None
    many: ManyShape | None = None

    def parts(self) -> TemplateText:
        """The given parts."""
        given = {Part.EMAIL: self.email, Part.SMS: self.sms, Part.SHORT: self.short, Part.MANY: self.many}
        return {part: shape.model_dump(exclude_none=True) for part, shape in given.items() if shape is not None}


class TemplateBody(PartsBody):
    """The text to use from now on."""

    language: Language


class PreviewBody(PartsBody):
    """A text to try: the given parts, or without any those in use."""

    language: Language | None = None
    data: Annotated[
        dict[Annotated[str, Field(max_length=40)], Annotated[Prose, Field(max_length=MAX_PROSE)] | Money],
        Field(max_length=20, description="Replaces the samples."),
    ] = {}  # noqa: RUF012 - pydantic copies it


class TemplateSummary(BaseModel):
    """One template. stored: the languages in which an administrator's text is in use."""

    name: str
    version: int
    built_in: list[str]
    stored: list[str]

    @classmethod
    def of(cls, listed: Listed) -> Self:
        return cls(name=listed.name, version=listed.version, built_in=list(listed.built_in), stored=list(listed.stored))


class TemplateList(BaseModel):
    """All templates."""

    items: list[TemplateSummary]


class FieldView(BaseModel):
    """A field that the template may use."""

    name: str
    type: FieldType
    optional: bool


class PartView(BaseModel):
    """One part as it is written. source: who wrote it."""

    source: Literal["built_in", "stored"]
    fields: dict[str, str]


class WordingView(BaseModel):
    """All parts in one language."""

    language: str
    parts: dict[Part, PartView]


class ChangeView(BaseModel):
    """One version. withdrawn: it brought back the built-in text. parts: of the requested version."""

    version: int
    language: str
    at: str
    by: str
    withdrawn: bool
    parts: dict[Part, dict[str, str]] | None = None


class TemplateView(BaseModel):
    """One template with its text in every language and its latest versions."""

    name: str
    version: int
    fields: list[FieldView]
    wordings: list[WordingView]
    changes: list[ChangeView]

    @classmethod
    def of(cls, template: Template) -> Self:
        return cls(
            name=template.name,
            version=template.head.version,
            fields=[FieldView(name=f.name, type=f.type, optional=f.optional) for f in fields_of(template.name)],
            wordings=[
                WordingView(
                    language=each.language,
                    parts={
                        part: PartView(source="stored" if part in each.stored else "built_in", fields=dict(text))
                        for part, text in each.parts.items()
                    },
                )
                for each in template.languages
            ],
            changes=[
                ChangeView(
                    version=change.version,
                    language=change.language,
                    at=to_rfc3339(change.at),
                    by=change.by,
                    withdrawn=change.withdrawn,
                    parts={part: dict(fields) for part, fields in template.texts[change.version].items()}
                    if change.version in template.texts
                    else None,
                )
                for change in template.head.changes
            ],
        )


class PreviewPart(BaseModel):
    """One part as members would get it, and in which language."""

    language: str
    fields: dict[str, str]
    characters: Annotated[int | None, Field(description="The length of a text message as it is sent.")] = None
    characters_of_one: Annotated[
        int | None,
        Field(description="The length of one text message: 160, or 70 when GSM 03.38 lacks one of its characters."),
    ] = None

    @classmethod
    def of(cls, part: Part, shown: RenderedPart) -> Self:
        view = cls(language=shown.language, fields=dict(shown.fields))
        if part is Part.SMS:
            view.characters = text_messages.length(shown.fields["text"])
            view.characters_of_one = text_messages.room(shown.fields["text"])
        return view


class Preview(BaseModel):
    """What members would get."""

    parts: dict[Part, PreviewPart]
