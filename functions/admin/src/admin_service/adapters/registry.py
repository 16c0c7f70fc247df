"""The declared list of dead-letter queues: a parameter that the template fills with the addresses of its queues."""

from collections.abc import Callable, Sequence

from pydantic import BaseModel, TypeAdapter

from admin_service.domain.dead_letters import DeadLetterQueue, Kind


class _Declared(BaseModel):
    url: str
    about: str
    source: str | None = None
    personal: bool = False


_LIST = TypeAdapter(dict[str, _Declared])


class DeclaredQueues:
    """Implements `application.ports.Registry`. read: the parameter's value, a JSON document."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read

    def queues(self) -> Sequence[DeadLetterQueue]:
        """Without a source queue it holds publications."""
        return [
            DeadLetterQueue(
                name=name,
                url=declared.url,
                kind=Kind.MESSAGES if declared.source else Kind.PUBLICATIONS,
                about=declared.about,
                personal=declared.personal,
                source_url=declared.source,
            )
            for name, declared in sorted(_LIST.validate_json(self._read()).items())
        ]
