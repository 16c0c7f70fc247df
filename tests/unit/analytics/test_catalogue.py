"""What analytics asks books for, as anybody may, and what is no answer."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from analytics_service.adapters.catalogue import HttpCatalogue
from analytics_service.application.ports import CatalogueUnavailable
from library_common.service_client import ServiceClient, Timeouts
from tests.support.scripted_service import Does, ScriptedService

pytestmark = [pytest.mark.unit, pytest.mark.enable_socket]

BOOK = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
ANSWER: dict[str, Any] = {
    "id": BOOK,
    "title": "Kindred",
    "author": "Octavia Butler",
    "genre": "Science  Fiction",
    "total_copies": 3,
    "version": 4,
    "updated_at": "2026-11-01T08:00:00Z",
}


@pytest.fixture
def other_service() -> Iterator[ScriptedService]:
    with ScriptedService().running() as other_service:
        yield other_service


@pytest.fixture
def catalogue(other_service: ScriptedService) -> HttpCatalogue:
    timeouts = Timeouts(connect=0.5, answer=0.3)
    return HttpCatalogue(
        ServiceClient(service="books", base_url=lambda: other_service.url, token=None, timeouts=timeouts)
    )


def soon() -> float:
    return time.monotonic() + 1


def test_a_title_as_books_describes_it(catalogue: HttpCatalogue, other_service: ScriptedService) -> None:
    other_service.script = [Does(body=ANSWER)]

    described = catalogue.describe(BOOK, soon())

    assert described is not None
    assert (described.book_id, described.book_version) == (BOOK, 4)
    assert (described.title, described.author, described.genre) == ("Kindred", "Octavia Butler", "science fiction")
    # That is how many there are now; facts want to know how many there were when the title was added.
    assert described.total_copies is None
    (asked,) = other_service.asked
    assert (asked.method, asked.path) == ("GET", f"/v1/api/books/{BOOK}")
    assert "authorization" not in asked.headers
    assert asked.headers["x-correlation-id"]


def test_what_is_not_said_is_not_known(catalogue: HttpCatalogue, other_service: ScriptedService) -> None:
    other_service.script = [Does(body={**ANSWER, "author": None, "genre": None})]

    described = catalogue.describe(BOOK, soon())

    assert described is not None
    assert (described.author, described.genre) == ("", None)


@pytest.mark.parametrize(
    "does",
    [
        Does(status=404, body={"code": "book_not_found"}),
        Does(status=422, body={"code": "invalid_request"}),
        Does(body={}),
        Does(body={**ANSWER, "version": "new"}),
        Does(body={**ANSWER, "title": None}),
        Does(body={**ANSWER, "updated_at": "yesterday"}),
    ],
    ids=["not found", "refused", "empty", "no version", "no title", "no moment"],
)
def test_no_name_comes_of_it(catalogue: HttpCatalogue, other_service: ScriptedService, does: Does) -> None:
    other_service.script = [does]

    assert catalogue.describe(BOOK, soon()) is None


@pytest.mark.parametrize(
    "does",
    [
        Does(status=503, body={"code": "service_unavailable"}),
        Does(status=429, body={"code": "too_many_requests"}),
        Does(status=401, body={}),
        Does(status=404, body={"code": "no_such_route"}),
        Does(body=b"<html>"),
        Does(silent=True),
        Does(vanish=True),
    ],
    ids=["down", "throttled", "no longer public", "no route", "unreadable", "silent", "vanishes"],
)
def test_books_may_be_away(catalogue: HttpCatalogue, other_service: ScriptedService, does: Does) -> None:
    other_service.script = [does]

    with pytest.raises(CatalogueUnavailable):
        catalogue.describe(BOOK, soon())
