"""Reads titles from the books service over HTTP."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from analytics_service.application.ports import CatalogueUnavailable
from analytics_service.domain.incoming_events import BookDescribed
from library_common.service_client import (
    Answered,
    NotFound,
    Refused,
    ServiceClient,
    Unavailable,
    UnknownOutcome,
    path_segment,
)
from library_common.telemetry import logger


class HttpCatalogue:
    """Implements `application.ports.Catalogue`."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    def describe(self, book_id: str, deadline: float) -> BookDescribed | None:
        match self._client.get(f"/api/books/{path_segment(book_id)}", deadline=deadline):
            case Answered(body=body):
                return _described(book_id, body)
            case NotFound() | Refused():
                return None
            case Unavailable(why=why) | UnknownOutcome(why=why):
                raise CatalogueUnavailable(why)


def _described(book_id: str, body: Mapping[str, Any]) -> BookDescribed | None:
    """None also for an invalid answer: asking again at once would give the same."""
    described = {name: body[name] for name in ("title", "author", "genre") if body.get(name) is not None}
    try:
        # No event said this. The newest `book_version` counts; the first number of copies is only known from events.
        return BookDescribed.model_validate(
            {
                **described,
                "event_id": f"asked/{book_id}",
                "at": body.get("updated_at"),
                "book_id": book_id,
                "book_version": body.get("version"),
            }
        )
    except ValidationError as wrong:
        fields = sorted({".".join(map(str, error["loc"])) for error in wrong.errors(include_input=False)})
        logger().warning("invalid answer about a title", extra={"book_id": book_id, "fields": fields})
        return None
