"""The wordings that come with the service, read from `wording/<language>/<template>.toml` when first needed."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from notifications_service.domain.template_parts import FIELDS_OF_PART, TEMPLATE_NAMES, Part, Wording

_FOLDER = Path(__file__).resolve().parents[1] / "wording"
LANGUAGES = ("en", "es", "fr")


class BuiltIn:
    """Implements `application.wording_ports.BuiltInWording`."""

    def languages(self) -> tuple[str, ...]:
        return LANGUAGES

    def wording(self, name: str, language: str) -> Wording | None:
        return _wording(name, language) if language in LANGUAGES and name in TEMPLATE_NAMES else None


def phrases(language: str) -> Mapping[str, Any]:
    """What stands in for data that is missing, and known words; those of the base language, or in English."""
    base = language.partition("-")[0]
    return _read(f"{base if base in LANGUAGES else 'en'}/phrases.toml")


@cache
def layout() -> str:
    """What surrounds the HTML part of every e-mail."""
    return (_FOLDER / "layout.html").read_text(encoding="utf-8")


@cache
def _wording(name: str, language: str) -> Wording:
    document = _read(f"{language}/{name}.toml")
    return {
        Part(part): {field: str(fields[field]).strip("\n") for field in FIELDS_OF_PART[Part(part)] if field in fields}
        for part, fields in document.items()
    }


@cache
def _read(path: str) -> dict[str, Any]:
    return tomllib.loads((_FOLDER / path).read_text(encoding="utf-8"))
