"""TCP ports on the loopback interface."""

import socket

from localstack.embedded.errors import Refusal

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as caller:
        # Some systems let two servers share a port when one of them listens on all interfaces.
        if caller.connect_ex((LOOPBACK, port)) == 0:
            return False
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an earlier run in TIME_WAIT do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def pick_free() -> int:
    """A free port, chosen by the system."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, setting: str) -> None:
    """Refuses when ``port`` is taken. ``setting``: the variable that chooses another port."""
    if not is_free(port):
        message = f"Port {port} on {LOOPBACK} is taken: stop what uses it or choose another one with {setting}=..."
        raise Refusal(message)
