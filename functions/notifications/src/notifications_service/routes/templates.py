"""The templates of notices."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Query, Response

from library_common.access import Access
from library_common.http import CurrentCaller, IfMatch, ServiceApi, set_etag
from library_common.problems import StaleVersion
from notifications_service.application.use_cases import UseCases
from notifications_service.domain.errors import InvalidFields, TemplateNotFound, TemplateRefused, VersionNotFound
from notifications_service.schemas.templates import (
    LanguageQuery,
    Preview,
    PreviewBody,
    PreviewPart,
    TemplateBody,
    TemplateList,
    TemplateSummary,
    TemplateView,
    VersionQuery,
)

_STAFF = Access(librarian=True)
_ADMIN = Access(admin=True)


def declare(api: ServiceApi, provide: Callable[[], UseCases]) -> None:
    """The routes on the use cases that `provide` returns."""

    @api.get("/api/notifications/templates", access=_STAFF)
    def list_templates() -> TemplateList:
        """Every template: the languages it is built in, and those in which an administrator's text is in use."""
        return TemplateList(items=[TemplateSummary.of(listed) for listed in provide().templates.all()])

    @api.get("/api/notifications/templates/{name}", access=_STAFF, raises=[TemplateNotFound, VersionNotFound])
    def read_template(name: str, query: Annotated[VersionQuery, Query()], response: Response) -> TemplateView:
        """One template: the fields it may use, its text in every language, its latest versions."""
        template = provide().templates.one(name, query.version)
        set_etag(response, template.head.version)
        return TemplateView.of(template)

    @api.put(
        "/api/notifications/templates/{name}",
        access=_ADMIN,
        raises=[TemplateNotFound, InvalidFields, TemplateRefused, StaleVersion],
    )
    def replace_template(
        name: str, body: TemplateBody, caller: CurrentCaller, if_match: IfMatch, response: Response
    ) -> TemplateView:
        """Use another text in one language, within a minute. It is tried on samples first."""
        template = provide().templates.put(name, body.language, body.parts(), accepted=if_match, by=caller.actor)
        set_etag(response, template.head.version)
        return TemplateView.of(template)

    @api.delete(
        "/api/notifications/templates/{name}", access=_ADMIN, raises=[TemplateNotFound, StaleVersion], status=204
    )
    def withdraw_template(
        name: str, query: Annotated[LanguageQuery, Query()], caller: CurrentCaller, if_match: IfMatch
    ) -> None:
        """Go back to the built-in text in one language. Earlier versions are kept."""
        provide().templates.withdraw(name, query.language, accepted=if_match, by=caller.actor)

    @api.post(
        "/api/notifications/templates/{name}/preview",
        access=_STAFF,
        raises=[TemplateNotFound, InvalidFields, TemplateRefused],
    )
    def preview_template(name: str, body: PreviewBody) -> Preview:
        """Show what members would get, with samples or your own data. Nothing is stored or sent."""
        data = {
            field: value if isinstance(value, str) else value.model_dump(mode="json")
            for field, value in body.data.items()
        }
        shown = provide().templates.preview(name, body.language, body.parts() or None, data)
        return Preview(parts={part: PreviewPart.of(part, filled) for part, filled in shown.items()})
