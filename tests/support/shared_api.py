"""One API per service and process. To build its routes takes as long as to answer fifty requests."""

from collections.abc import Callable
from typing import Any

from library_common.http import ServiceApi

type Build[UseCases] = Callable[[Callable[[], UseCases]], ServiceApi]
"""A service's `http.build`."""

_built: dict[Build[Any], tuple[ServiceApi, list[Any]]] = {}


def api_on[UseCases](build: Build[UseCases], use_cases: UseCases) -> ServiceApi:
    """The service's API, from now on and for everybody on these use cases."""
    if build not in _built:
        current: list[UseCases] = []
        _built[build] = build(lambda: current[0]), current
    api, present = _built[build]
    present[:] = [use_cases]
    return api
