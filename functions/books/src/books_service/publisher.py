"""Table stream in, events on the bus out."""

from typing import Any

from books_service import bootstrap


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda handler of the BooksTable's stream."""
    return bootstrap.publisher()(event, context)
