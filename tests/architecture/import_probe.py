"""Imports the given modules and reports what our own code did meanwhile that imports must not do.

Run as a process of its own: `python -m tests.architecture.import_probe '{"modules": [...], "roots": [...]}'`.
Prints {"offences": [...], "loaded": [...]}: clock and environment reads, files, sockets and processes for which
a file under one of `roots` is responsible, and the names of all modules that are loaded in the end.

The interpreter's profiling hook sees every call, so nothing has to be replaced and nothing can hold an
unobserved reference. A call belongs to the innermost of our frames, unless the import machinery lies between:
then a third-party module is being imported and acts on its own account.
"""

import importlib
import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

CLOCKS = {
    "datetime": {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"},
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime", "sleep"},
}
OUTSIDE = {
    "_io": {"open", "open_code"},
    "socket": {"socket.connect", "socket.connect_ex", "socket.bind", "socket.sendto"},
    "_socket": {"getaddrinfo", "gethostbyname"},
    "posix": {"open", "listdir", "scandir", "mkdir", "system", "posix_spawn", "putenv"},
    "_posixsubprocess": {"fork_exec"},
}
FORBIDDEN = CLOCKS | OUTSIDE

ENVIRONMENT = {"_Environ.__getitem__", "_Environ.__setitem__", "_Environ.__iter__", "_Environ.__len__"}
OWN_SWITCHES = ("PYDANTIC_", "FASTAPI_", "OTEL_")
"""Pydantic and FastAPI look at their own switches when a model or an app is made; no value of ours comes of it."""


def offence_of(event: str, frame: FrameType, argument: Any) -> str | None:
    """What a call is that imports must not make, or None."""
    if event == "call" and frame.f_code.co_qualname in ENVIRONMENT:
        key = str(frame.f_locals.get("key", "whole"))
        return None if key.startswith(OWN_SWITCHES) else f"reads the environment ({key})"
    if event == "c_call":
        bound = getattr(argument, "__self__", None)
        owner = bound if isinstance(bound, type) else type(bound)
        module = getattr(argument, "__module__", None) or owner.__module__
        name = getattr(argument, "__qualname__", "")
        return f"calls {module}.{name}" if name in FORBIDDEN.get(module, ()) else None
    return None


def responsible(frame: FrameType | None, roots: tuple[str, ...]) -> str | None:
    """`file:line` of the code of ours that made this call, None when a third party did."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(roots):
            return f"{name}:{frame.f_lineno}"
        if "importlib" in name:
            return None
        frame = frame.f_back
    return None


def watching(roots: tuple[str, ...], offences: list[str]) -> Callable[[FrameType, str, Any], None]:
    """The profiling hook."""

    def hook(frame: FrameType, event: str, argument: Any) -> None:
        what = offence_of(event, frame, argument)
        if what is not None and (where := responsible(frame, roots)) is not None:
            offences.append(f"{where} {what}")

    return hook


def main() -> None:
    """Does what the module's docstring says."""
    request = json.loads(sys.argv[1])
    offences: list[str] = []
    sys.setprofile(watching(tuple(request["roots"]), offences))
    try:
        for name in request["modules"]:
            importlib.import_module(name)
    finally:
        sys.setprofile(None)
    print(json.dumps({"offences": offences, "loaded": sorted(sys.modules)}))


if __name__ == "__main__":
    main()
