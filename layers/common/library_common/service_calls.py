"""How this service calls others: its token, their address and the client, wired in one place."""

from functools import cache

from library_common.clock import SystemClock
from library_common.configuration import parameter, secret
from library_common.key_rings import current_secret
from library_common.service_client import ServiceClient, ServiceToken, Timeouts
from library_common.settings import CallerSettings
from library_common.ttl_cache import TtlCache

_REFRESH_PAUSE_SECONDS = 10.0
"""How long a refused token waits at least before its secret is read again: anybody can have a call refused."""


def service_client(
    to: str, *, timeouts: Timeouts, caller: str | None = None, scopes: frozenset[str] = frozenset()
) -> ServiceClient:
    """A client for the API of service `to`.

    caller: the name this service signs its tokens with, and `scopes` what they claim; the scopes must be those
    that the service's template asks for. None calls without a token, as anybody may.
    """
    token = _token(caller, scopes) if caller is not None else None
    return ServiceClient(service=to, base_url=_address().get, token=token, timeouts=timeouts)


@cache
def _address() -> TtlCache[str]:
    return parameter(CallerSettings().services_url_parameter)


@cache
def _token(service: str, scopes: frozenset[str]) -> ServiceToken:
    # Kept for as long as gateway_service.overlap says that signers do, so that ordinary rotations go unnoticed.
    stored = secret(CallerSettings().service_key_parameter)
    return ServiceToken(
        service=service,
        scopes=scopes,
        secret=lambda: current_secret(stored.get()),
        newer_secret=lambda: current_secret(stored.get_fresh(pause=_REFRESH_PAUSE_SECONDS)),
        clock=SystemClock(),
    )
