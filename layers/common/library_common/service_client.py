"""How a service calls another over HTTP: with its own token, within a deadline, with retries and a circuit breaker.

A call ends in one of five results. `Unavailable` means that nothing was done. `UnknownOutcome` means that the
request may have been carried out; the caller has to find out. Only safe and idempotent calls are retried
(full jitter), and only within the deadline. Each target has a circuit breaker: it stops calls to a service that
is down, and lets one probe through after a pause.
"""

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import pybreaker
import urllib3
from tenacity import RetryCallState, Retrying, retry_if_result
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from library_common.clock import Clock
from library_common.context import current
from library_common.telemetry import count, logger
from library_common.tokens import SERVICE_LIFETIME, mint_service_token

ATTEMPTS = 3
_RENEW_BEFORE_SECONDS = 60
_CODES_OF_THE_GATEWAY = frozenset({"", "no_such_route"})
"""Codes of a 404 that the service itself did not send: its own name what was not found."""


@dataclass(frozen=True)
class Answered:
    """2xx, with its JSON body."""

    status: int
    body: Mapping[str, Any]


@dataclass(frozen=True)
class NotFound:
    """404: the thing does not exist in the other service."""

    code: str


@dataclass(frozen=True)
class Refused:
    """Another 4xx. Whether it also settles earlier attempts without an answer depends on the target's API."""

    status: int
    code: str
    detail: str


@dataclass(frozen=True)
class Unavailable:
    """Nothing was done: no connection, throttled, or the circuit breaker is open."""

    service: str
    why: str


@dataclass(frozen=True)
class UnknownOutcome:
    """The request may have been carried out, but no answer confirms it."""

    service: str
    why: str


type Result = Answered | NotFound | Refused | Unavailable | UnknownOutcome


class _Failure(Exception):
    """A failed attempt, as an exception because the circuit breaker counts exceptions."""

    def __init__(self, result: Unavailable | UnknownOutcome) -> None:
        super().__init__(result.why)
        self.result = result


class ServiceToken:
    """The calling service's own token. A new one is made a minute before it expires.

    The same token is used until then, so that the authorizer can cache its decision.
    secret: the secret to sign with, possibly cached. newer_secret: the secret read again, for a refused token; it
    may return the same one.
    """

    def __init__(
        self,
        *,
        service: str,
        scopes: frozenset[str],
        secret: Callable[[], str],
        clock: Clock,
        newer_secret: Callable[[], str] | None = None,
    ) -> None:
        self._service = service
        self._scopes = scopes
        self._secret = secret
        self._newer_secret = newer_secret or secret
        self._clock = clock
        self._signed_with = ""
        self._token = ""
        self._good_until = 0.0

    def get(self) -> str:
        now = self._clock.now()
        if now.timestamp() >= self._good_until:
            self._sign(self._secret(), now)
        return self._token

    def renewed(self) -> bool:
        """After a refusal: signs a new token if the secret changed. Returns whether it did.

        Only a forced rotation makes this necessary: in an ordinary one the old secret is still accepted.
        """
        secret = self._newer_secret()
        if secret == self._signed_with:
            return False
        self._sign(secret, self._clock.now())
        return True

    def _sign(self, secret: str, now: datetime) -> None:
        self._token = mint_service_token(secret, service=self._service, scopes=self._scopes, now=now)
        self._signed_with = secret
        self._good_until = (now + SERVICE_LIFETIME).timestamp() - _RENEW_BEFORE_SECONDS


@dataclass(frozen=True)
class Timeouts:
    """In seconds: for a connection, for one answer, and until an open circuit breaker lets a probe through."""

    connect: float = 0.5
    answer: float = 3.0
    breaker_failures: int = 5
    breaker_pause: float = 10.0


class ServiceClient:
    """Calls one other service through the library's API.

    token: None for public routes only. Such calls count against the rate limit of their address.
    """

    def __init__(
        self,
        *,
        service: str,
        base_url: Callable[[], str],
        token: ServiceToken | None,
        timeouts: Timeouts | None = None,
        pool: urllib3.PoolManager | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._service = service
        self._base_url = base_url
        self._token = token
        self._timeouts = timeouts or Timeouts()
        self._pool = pool or urllib3.PoolManager(retries=False, maxsize=4)
        self._monotonic = monotonic
        self._sleep = sleep
        self.breaker = pybreaker.CircuitBreaker(
            fail_max=self._timeouts.breaker_failures,
            reset_timeout=self._timeouts.breaker_pause,
            throw_new_error_on_trip=False,
            name=service,
            listeners=[_BreakerMetrics()],
        )

    def get(self, path: str, *, deadline: float) -> Result:
        """A safe call. deadline: a time on the monotonic clock."""
        return self._call("GET", path, None, retry=True, deadline=deadline)

    def post(self, path: str, body: Mapping[str, Any], *, idempotent: bool, deadline: float) -> Result:
        """A call that changes something. It is retried only if `idempotent`."""
        return self._call("POST", path, body, retry=idempotent, deadline=deadline)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None, *, retry: bool, deadline: float) -> Result:
        safe = method == "GET"
        lost = False

        def attempt() -> Result:
            nonlocal lost
            if self._monotonic() >= deadline:
                # Nothing was sent, so this does not count as a failure of the target.
                return Unavailable(self._service, "deadline passed")
            try:
                result: Result = self.breaker.call(self._send, method, path, body, deadline)
            except pybreaker.CircuitBreakerError:
                result = Unavailable(self._service, "circuit open")
            except _Failure as failure:
                result = failure.result
            lost = lost or isinstance(result, UnknownOutcome)
            return result

        def out_of_attempts_or_time(state: RetryCallState) -> bool:
            return state.attempt_number >= ATTEMPTS or self._monotonic() + self._timeouts.connect >= deadline

        if retry:
            retrying = Retrying(
                retry=retry_if_result(_worth_retrying),
                stop=out_of_attempts_or_time,
                wait=_full_jitter,
                sleep=self._sleep,
                retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
            )
            final: Result = retrying(attempt)
        else:
            final = attempt()
        if safe and isinstance(final, UnknownOutcome):
            return Unavailable(final.service, final.why)
        if not safe and lost and isinstance(final, Unavailable):
            return UnknownOutcome(final.service, final.why)
        return final

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None, deadline: float) -> Result:
        status, data = self._request(method, path, body, deadline)
        if status == 401 and self._token is not None and self._token.renewed():
            # The authorizer refused it: nothing was done yet.
            status, data = self._request(method, path, body, deadline)
        return self._read(status, data)

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None, deadline: float) -> tuple[int, bytes]:
        left = deadline - self._monotonic()
        current().outgoing_calls += 1
        headers = {"Accept": "application/json", "X-Correlation-Id": current().correlation_id}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.get()}"
        payload: bytes | None = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            payload = json.dumps(body).encode()
        timeout = urllib3.Timeout(
            connect=min(self._timeouts.connect, left), read=min(self._timeouts.answer, left), total=left
        )
        url = self._base_url().rstrip("/") + path
        try:
            response = self._pool.request(method, url, body=payload, headers=headers, timeout=timeout, retries=False)
        except (NewConnectionError, ConnectTimeoutError) as exc:
            raise _Failure(Unavailable(self._service, type(exc).__name__)) from exc
        except HTTPError as exc:
            raise _Failure(UnknownOutcome(self._service, type(exc).__name__)) from exc
        return response.status, response.data

    def _read(self, status: int, data: bytes) -> Result:
        document = _json_object(data)
        if 200 <= status < 300:
            if document is None:
                raise _Failure(UnknownOutcome(self._service, "unreadable answer"))
            return Answered(status, document)
        code = str((document or {}).get("code", ""))
        if status >= 500:
            # Even behind a 503 the write may have succeeded.
            raise _Failure(UnknownOutcome(self._service, f"status {status}"))
        if status == 429:
            return Unavailable(self._service, "throttled")
        if status in (401, 403):
            logger().error("service token refused", extra={"target": self._service, "status": status})
            return Unavailable(self._service, f"status {status}")
        if status == 404 and code in _CODES_OF_THE_GATEWAY:
            # Nobody looked the thing up: the service is not deployed, or its API differs.
            logger().error("no such route", extra={"target": self._service})
            return Unavailable(self._service, "no such route")
        if status == 404:
            return NotFound(code)
        return Refused(status, code, str((document or {}).get("detail", "")))


class _BreakerMetrics(pybreaker.CircuitBreakerListener):
    """Logs and counts changes of the circuit breaker's state."""

    def state_change(
        self,
        cb: pybreaker.CircuitBreaker,
        old_state: pybreaker.CircuitBreakerState | None,  # noqa: ARG002 - pybreaker passes it by name
        new_state: pybreaker.CircuitBreakerState,
    ) -> None:
        logger().warning("circuit breaker", extra={"target": cb.name, "state": new_state.name})
        count("BreakerState", target=cb.name or "", state=new_state.name)


def _worth_retrying(result: Result) -> bool:
    return isinstance(result, UnknownOutcome | Unavailable) and result.why not in {"circuit open", "deadline passed"}


def _full_jitter(state: RetryCallState) -> float:
    return random.uniform(0, min(0.5, 0.05 * 2**state.attempt_number))  # noqa: S311 - not for security


def _json_object(data: bytes) -> dict[str, Any] | None:
    """The JSON object in a body; {} for an empty body, None for anything else."""
    try:
        document = json.loads(data) if data else {}
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def path_segment(value: str) -> str:
    """Escapes a value for use as one segment of a path."""
    return quote(value, safe="")
