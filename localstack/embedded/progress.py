"""Prints which step a command is at and how long each step took."""

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
        """Prints the title before the step, and its duration on the same line after it."""
        begun = self._clock()
        self._write(f"  {title} ... ")
        try:
            yield
        except BaseException:
            self._write("stopped\n")
            raise
        self._write(f"{self._clock() - begun:.1f} s\n")

    def within(self, text: str) -> None:
        """Prints a text inside the line of the current step."""
        self._write(text)

    def note(self, text: str) -> None:
        """Prints a line."""
        self._write(text + "\n")

    def _write(self, text: str) -> None:
        # The terminal may have been closed; the run must still stop in order.
        with suppress(OSError):
            self._stream.write(text)
            self._stream.flush()
