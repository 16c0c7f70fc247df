"""The dead-letter queues there are: each stack lists its own in a parameter."""

from collections.abc import Callable, Iterable, Sequence

from pydantic import BaseModel, TypeAdapter

from admin_service.domain.dead_letters import DeadLetterQueue, Kind


class _Registered(BaseModel):
    url: str
    about: str
    source: str | None = None
    personal: bool = False
    jobs: bool = False


_LIST = TypeAdapter(dict[str, _Registered])


class RegisteredQueues:
    """Implements `application.ports.Registry`. read: service and JSON document of each parameter."""

    def __init__(self, read: Callable[[], Iterable[tuple[str, str]]]) -> None:
        self._read = read

    def queues(self) -> Sequence[DeadLetterQueue]:
        """All of them, by name."""
        found = {name: queue for _, text in self._read() for name, queue in _LIST.validate_json(text).items()}
        return [
            DeadLetterQueue(
                name=name,
                url=registered.url,
                kind=_kind(registered),
                about=registered.about,
                personal=registered.personal,
                source_url=registered.source,
            )
            for name, registered in sorted(found.items())
        ]


def _kind(registered: _Registered) -> Kind:
    if registered.source:
        return Kind.MESSAGES
    return Kind.JOBS if registered.jobs else Kind.PUBLICATIONS
