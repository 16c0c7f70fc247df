"""MiniStack behind the guard. Started as a file, with `-P`: its functions inherit neither a path nor a module of ours.

Reads GATEWAY_PORT; everything else is read by MiniStack itself.
"""

import importlib
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_OF_THE_API = re.compile(r"/_aws/execute-api/[^/]+/[^/]+")


def main() -> None:
    """Serves until SIGTERM or SIGINT."""
    emulator: Any = importlib.import_module("ministack.app")
    sys.path.append(str(Path(__file__).resolve().parents[2]))
    from localstack.embedded.loopback_guard import Guard, guarded  # noqa: PLC0415 - found from here on

    port = int(os.environ["GATEWAY_PORT"])

    def guard(scope: Mapping[str, Any]) -> Guard:
        # The library's own API looks after itself. The proxy in front of it passes on what it lets through. Without an
        # API and a stage in the path MiniStack takes the request for one to any of its services.
        return Guard(port, other_pages=_OF_THE_API.match(str(scope["path"])) is not None)

    emulator.app = guarded(emulator.app, guard)
    emulator.main()


if __name__ == "__main__":
    main()
