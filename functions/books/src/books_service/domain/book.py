"""A title together with its copies."""

from dataclasses import dataclass

from books_service.domain.stock import Stock
from books_service.domain.title import Title


@dataclass(frozen=True)
class Book:
    """Two things with one id that change independently: the description, and the copies."""

    title: Title
    stock: Stock

    @property
    def id(self) -> str:
        return self.title.id
