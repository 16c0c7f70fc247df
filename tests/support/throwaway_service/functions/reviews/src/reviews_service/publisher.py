"""Table stream in, events on the bus out."""

from typing import Any

from reviews_service import bootstrap


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda handler of the ReviewsTable's stream."""
    return bootstrap.publisher()(event, context)
