"""How notices are worded."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Query, Response
from pydantic import BaseModel, ConfigDict, Field

from library_common.access import Access
from library_common.http import CurrentCaller, IfMatch, ServiceApi, set_etag
from library_common.problems import StaleVersion
from notifications_service.application.use_cases import MemberCases
from notifications_service.domain.errors import InvalidFields, TemplateNotFound, TemplateRefused, VersionNotFound
from notifications_service.shapes import (
    Language,
    Preview,
    PreviewBody,
    PreviewPart,
    TemplateBody,
    TemplateList,
    TemplateSummary,
    TemplateView,
)


class LanguageQuery(BaseModel):
    """In which language."""

    model_config = ConfigDict(extra="forbid")

    language: Language


class VersionQuery(BaseModel):
    """Of which version to show the text."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int | None, Field(ge=1, le=999_999, description="One of `changes`, which then has `parts`.")] = (
        None
    )


def declare(api: ServiceApi, provide: Callable[[], MemberCases]) -> None:
    """The routes on the use cases that `provide` answers."""

    @api.get("/api/notifications/templates", access=Access(librarian=True))
    def list_templates() -> TemplateList:
        """Every template: the languages it is built in, and those in which an administrator's wording counts."""
        return TemplateList(items=[TemplateSummary.of(listed) for listed in provide().templating.all()])

    @api.get(
        "/api/notifications/templates/{name}",
        access=Access(librarian=True),
        raises=[TemplateNotFound, VersionNotFound],
    )
    def read_template(name: str, query: Annotated[VersionQuery, Query()], response: Response) -> TemplateView:
        """One template: what may stand in its braces, its wordings, its latest versions."""
        template = provide().templating.one(name, query.version)
        set_etag(response, template.newest.version)
        return TemplateView.of(template)

    @api.put(
        "/api/notifications/templates/{name}",
        access=Access(admin=True),
        raises=[TemplateNotFound, InvalidFields, TemplateRefused, StaleVersion],
    )
    def replace_wording(
        name: str, body: TemplateBody, caller: CurrentCaller, if_match: IfMatch, response: Response
    ) -> TemplateView:
        """Use another wording in one language, within a minute. It is tried on samples first."""
        template = provide().templating.put(name, body.language, body.wording(), accepted=if_match, by=caller.actor)
        set_etag(response, template.newest.version)
        return TemplateView.of(template)

    @api.delete(
        "/api/notifications/templates/{name}",
        access=Access(admin=True),
        raises=[TemplateNotFound, StaleVersion],
        status=204,
    )
    def withdraw_wording(
        name: str, query: Annotated[LanguageQuery, Query()], caller: CurrentCaller, if_match: IfMatch
    ) -> None:
        """Go back to the built-in wording in one language. The versions there were are kept."""
        provide().templating.withdraw(name, query.language, accepted=if_match, by=caller.actor)

    @api.post(
        "/api/notifications/templates/{name}/preview",
        access=Access(librarian=True),
        raises=[TemplateNotFound, InvalidFields, TemplateRefused],
    )
    def preview_wording(name: str, body: PreviewBody) -> Preview:
        """Show what members would get, with samples or data of yours. Nothing is stored or sent."""
        data = {
            field: value if isinstance(value, str) else value.model_dump(mode="json")
            for field, value in body.data.items()
        }
        shown = provide().templating.preview(name, body.language, body.wording() or None, data)
        return Preview(parts={part: PreviewPart.of(part, filled) for part, filled in shown.items()})
