"""Builds the client for calling another service: token, address, timeouts."""

from dataclasses import replace
from functools import cache

from library_common.clock import SystemClock
from library_common.configuration import parameter, secret
from library_common.key_rings import current_secret
from library_common.service_client import ServiceClient, ServiceToken, Timeouts
from library_common.settings import CallerSettings, WaitLimits
from library_common.ttl_cache import TtlCache

_LOOK_AGAIN_SECONDS = 10.0
"""The secret is read again at most this often after refused tokens: anybody can cause refusals."""


def service_client(
    to: str, *, timeouts: Timeouts, caller: str | None = None, scopes: frozenset[str] = frozenset()
) -> ServiceClient:
    """A client for the API of service `to`.

    caller: this service's own name, for its token; None calls public routes without a token. scopes: what the token
    claims; they must be those that the service's template asks for.
    """
    token = _token(caller, scopes) if caller is not None else None
    pause = min(timeouts.breaker_pause, WaitLimits().max_breaker_pause_seconds)
    timeouts = replace(timeouts, breaker_pause=pause)
    return ServiceClient(service=to, base_url=_address().get, token=token, timeouts=timeouts)


@cache
def _address() -> TtlCache[str]:
    return parameter(CallerSettings().services_url_parameter)


@cache
def _token(service: str, scopes: frozenset[str]) -> ServiceToken:
    # The default cache time: gateway_service.overlap counts on it, so that rotations go unnoticed.
    stored = secret(CallerSettings().service_key_parameter)
    return ServiceToken(
        service=service,
        scopes=scopes,
        secret=lambda: current_secret(stored.get()),
        newer_secret=lambda: current_secret(stored.get_fresh(pause=_LOOK_AGAIN_SECONDS)),
        clock=SystemClock(),
    )
