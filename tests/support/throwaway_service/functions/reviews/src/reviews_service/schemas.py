"""Request and response bodies."""

from typing import Annotated

from pydantic import BaseModel, Field

from library_common.http import RequestBody
from library_common.text import Line

type Id = Annotated[Line, Field(min_length=1, max_length=40)]
type Stars = Annotated[int, Field(strict=True, ge=1, le=5)]


class Review(RequestBody):
    """A review to store."""

    user_id: Id
    book_id: Id
    stars: Stars


class ReviewView(BaseModel):
    """A stored review."""

    user_id: str
    book_id: str
    stars: int
