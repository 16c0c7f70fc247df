"""What the use cases about wording need from outside, as Protocols."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from notifications_service.domain.template_parts import Part, PartText, Wording


@dataclass(frozen=True)
class Change:
    """One version of a template: what was changed in it when and by whom. withdrawn: back to the built-in wording."""

    version: int
    language: str
    at: datetime
    by: str
    withdrawn: bool = False


@dataclass(frozen=True)
class Newest:
    """What is stored of a template. languages: the version that counts in each; changes: the latest, newest first."""

    version: int = 0
    languages: Mapping[str, int] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()


class TemplateChanged(Exception):
    """Somebody else stored a version at the same moment."""


class StoredWording(Protocol):
    """Wordings that administrators wrote. Versions are never changed and never deleted."""

    def newest(self, names: Sequence[str]) -> dict[str, Newest]:
        """Of every name asked for; an empty one where nothing was ever stored. Strongly consistent."""
        ...

    def wording(self, name: str, language: str, version: int) -> Wording:
        """The parts of one version."""
        ...

    def add(self, name: str, before: Newest, change: Change, wording: Wording) -> None:
        """A further version, and from now on the one that counts. Raises TemplateChanged when `before` is not so."""
        ...


class BuiltInWording(Protocol):
    """The wordings that come with the service: every template in English, and what there is in other languages."""

    def languages(self) -> tuple[str, ...]: ...

    def wording(self, name: str, language: str) -> Wording | None: ...


@dataclass(frozen=True)
class Shown:
    """A part as its reader gets it, by field, and in which language."""

    language: str
    fields: Mapping[str, str]


class Workshop(Protocol):
    """Where wordings are tried out before anybody gets them."""

    def check(self, name: str, language: str, wording: Wording) -> list[tuple[str, str]]:
        """What is wrong with it: (field like `email.subject`, why), tried on the samples."""
        ...

    def show(self, name: str, part: Part, language: str, data: Mapping[str, Any], text: PartText) -> Shown:
        """A part filled in. Raises TemplateRefused."""
        ...
