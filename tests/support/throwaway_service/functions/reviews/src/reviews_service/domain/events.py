"""The events of the reviews service."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class ReviewWritten(BaseModel):
    """A member wrote a review, or wrote it anew."""

    model_config = ConfigDict(frozen=True)

    type: ClassVar[str] = "ReviewWritten"
    version: ClassVar[int] = 1

    user_id: str
    book_id: str
    stars: int
