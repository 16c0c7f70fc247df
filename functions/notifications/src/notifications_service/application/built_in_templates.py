"""The templates that come with the service, read from `templates/<language>/<template>.toml` when first needed."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from notifications_service.domain.templates import FIELDS_OF_PART, TEMPLATE_NAMES, Part, TemplateText

_FOLDER = Path(__file__).resolve().parents[1] / "templates"
LANGUAGES = ("en", "es", "fr")


def built_in_text(name: str, language: str) -> TemplateText | None:
    """All parts of a template; None when it is not built in in this language."""
    return _text(name, language) if language in LANGUAGES and name in TEMPLATE_NAMES else None


def phrases(language: str) -> Mapping[str, Any]:
    """Phrases for missing data, and translations of known words; of the base language, or in English."""
    base = language.partition("-")[0]
    return _read(f"{base if base in LANGUAGES else 'en'}/phrases.toml")


@cache
def layout() -> str:
    """The frame around the HTML part of every e-mail."""
    return (_FOLDER / "layout.html").read_text(encoding="utf-8")


@cache
def _text(name: str, language: str) -> TemplateText:
    document = _read(f"{language}/{name}.toml")
    return {
        Part(part): {field: str(fields[field]).strip("\n") for field in FIELDS_OF_PART[Part(part)] if field in fields}
        for part, fields in document.items()
    }


@cache
def _read(path: str) -> dict[str, Any]:
    return tomllib.loads((_FOLDER / path).read_text(encoding="utf-8"))
