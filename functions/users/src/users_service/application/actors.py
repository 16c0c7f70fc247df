"""The caller of a request as the rules know them."""

from library_common.access import Caller
from users_service.domain.roles import Actor, Role


def actor_of(caller: Caller) -> Actor:
    """Services and people without a token are nobody in particular."""
    if caller.kind != "person" or caller.role is None:
        return Actor()
    return Actor(id=caller.id, role=Role(caller.role.value))
