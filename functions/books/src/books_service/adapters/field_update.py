"""Composes an update of named attributes, together with its conditions."""

from collections.abc import Mapping
from typing import Any

from library_common.dynamodb import Expression

type Path = tuple[str, ...]
"""An attribute, or a path into nested maps. Its parts are data (barcodes, loan ids), so they are sent as names."""


class FieldUpdate:
    """Collects what to set, add, remove and require. It declares only the names and values that are used, because
    DynamoDB refuses others."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._clauses: dict[str, list[str]] = {"SET": [], "ADD": [], "REMOVE": []}
        self._conditions: list[str] = []

    def set(self, path: Path, value: object) -> None:
        self._clauses["SET"].append(f"{self._path(path)} = {self._value(value)}")

    def set_all(self, attributes: Mapping[str, object]) -> None:
        """Sets each attribute; removes those that are None."""
        for name, value in attributes.items():
            if value is None:
                self.remove((name,))
            else:
                self.set((name,), value)

    def add(self, attribute: str, number: int) -> None:
        """Adds to a number as it is when the update is done; nothing for 0."""
        if number:
            self._clauses["ADD"].append(f"{self._path((attribute,))} {self._value(number)}")

    def remove(self, path: Path) -> None:
        self._clauses["REMOVE"].append(self._path(path))

    def require(self, path: Path, value: object) -> None:
        """The field must have this value when the update is done."""
        self._conditions.append(f"{self._path(path)} = {self._value(value)}")

    def require_absent(self, path: Path) -> None:
        self._conditions.append(f"attribute_not_exists({self._path(path)})")

    def require_present(self, path: Path) -> None:
        self._conditions.append(f"attribute_exists({self._path(path)})")

    def update(self) -> Expression:
        """The update, with the names and values of both."""
        text = " ".join(f"{verb} {', '.join(clauses)}" for verb, clauses in self._clauses.items() if clauses)
        return Expression(text, self._names, self._values)

    def condition(self) -> Expression:
        return Expression(" AND ".join(self._conditions))

    def _path(self, path: Path) -> str:
        known = {attribute: name for name, attribute in self._names.items()}
        for part in path:
            if part not in known:
                known[part] = f"n{len(self._names)}"
                self._names[known[part]] = part
        return ".".join(f"#{known[part]}" for part in path)

    def _value(self, value: object) -> str:
        name = f"v{len(self._values)}"
        self._values[name] = value
        return f":{name}"
