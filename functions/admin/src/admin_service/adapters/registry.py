"""The dead-letter queues there are: each stack lists its own in a parameter."""

from collections.abc import Iterable

from pydantic import BaseModel, TypeAdapter

from admin_service.domain.dead_letters import DeadLetterQueue, Kind


class _Registered(BaseModel):
    url: str
    about: str
    source: str | None = None
    personal: bool = False
    jobs: bool = False


_LIST = TypeAdapter(dict[str, _Registered])


def registered_queues(documents: Iterable[str]) -> list[DeadLetterQueue]:
    """The queues in the JSON documents of all stacks, by name."""
    found = {name: queue for text in documents for name, queue in _LIST.validate_json(text).items()}
    return [
        DeadLetterQueue(name, each.url, _kind(each), each.about, each.personal, each.source)
        for name, each in sorted(found.items())
    ]


def _kind(registered: _Registered) -> Kind:
    if registered.source:
        return Kind.MESSAGES
    return Kind.JOBS if registered.jobs else Kind.PUBLICATIONS
