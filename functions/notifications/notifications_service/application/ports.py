"""What the use cases need from outside, as Protocols."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.preferences import Preferences


@dataclass(frozen=True)
class Rendered:
    """What goes out. subject and html: e-mail only; in-app and push use `subject` as the heading."""

    subject: str
    text: str
    html: str | None = None


class TemplateFailed(Exception):
    """A wording could not be filled in with this data, nor could the built-in one."""


class Templates(Protocol):
    """The wording of notices: the built-in one, or the version an administrator stored last."""

    def render(
        self, kind: Kind, channel: Channel, language: str | None, data: Mapping[str, Any], zone: str | None = None
    ) -> Rendered:
        """One notice in the language nearest to the one asked for (`fr-CA` -> `fr` -> the library's -> `en`).

        zone: IANA name of the reader's, by whose calendar days are written; None for the library's.
        data: plain values only. What is in it is shown as it stands, never run and never taken for markup.
        Raises TemplateFailed when the stored template cannot be rendered with this data and the built-in one
        cannot either.
        """
        ...

    def render_many(
        self,
        notices: list[tuple[Kind, Mapping[str, Any]]],
        channel: Channel,
        language: str | None,
        zone: str | None = None,
    ) -> Rendered:
        """Several notices of one visit, or of a digest, as one message; a single one like `render`."""
        ...


class StoredPreferences(Protocol):
    """What members wished for."""

    def of(self, user_id: str) -> Preferences:
        """The defaults for a member who never said anything."""
        ...
