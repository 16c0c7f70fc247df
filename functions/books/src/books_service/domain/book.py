"""A title together with its copies."""

from dataclasses import dataclass

from books_service.domain.stock import Stock
from books_service.domain.title import Title


@dataclass(frozen=True)
class Book:
    """Two things of one id that change independently: the description, and the copies."""

    title: Title
    stock: Stock
