"""Writes events/invoke: what `sam local invoke` passes to every function, from `functions/<service>/samples.py`."""

import importlib
from collections.abc import Callable, Mapping

from tools import services
from tools.generated import Files, as_json, command
from tools.sample_events import Samples

INVOCATIONS = services.ROOT / "events" / "invoke"


def functions() -> Mapping[str, Callable[[], Samples]]:
    """The samples of every function, by its name in the template."""
    services.make_importable()
    found: dict[str, Callable[[], Samples]] = {}
    for file in sorted(services.FUNCTIONS.glob("*/samples.py")):
        found |= importlib.import_module(f"functions.{file.parent.name}.samples").FUNCTIONS
    return found


def answers() -> dict[tuple[str, str], object]:
    """What each function answers to each of its samples, by function and file name."""
    return {(function, name): answer for function, samples in functions().items() for name, answer, _ in samples()}


def generate() -> Files:
    """Every sample of every function."""
    return {
        INVOCATIONS / function / f"{name}.json": as_json(event)
        for function, samples in functions().items()
        for name, _, event in samples()
    }


if __name__ == "__main__":
    raise SystemExit(command(__doc__.splitlines()[0], generate, [INVOCATIONS], "make events"))
