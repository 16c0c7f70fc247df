"""Short lines that tell how far a command has come and how long each step took."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


class Progress:
    """Prints one line per step: what it is, then how long it took."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """``stream`` defaults to standard output, ``clock`` gives seconds."""
        self._stream = stream if stream is not None else sys.stdout
        self._clock = clock

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Names a step before it runs; its time follows on the same line once it has succeeded."""
        begun = self._clock()
        self._write(f"  {title} ... ")
        try:
            yield
        except BaseException:
            self._write("stopped\n")
            raise
        self._write(f"{self._clock() - begun:.1f} s\n")

    def within(self, text: str) -> None:
        """A word inside the line of the step that is going on."""
        self._write(text)

    def note(self, text: str) -> None:
        """A line of its own."""
        self._write(text + "\n")

    def _write(self, text: str) -> None:
        # The terminal may be gone by the time a run is stopped, and it still has to be stopped in order.
        with suppress(OSError):
            self._stream.write(text)
            self._stream.flush()
