"""How slow the machine is just now: what has to be done within seconds is to tell a slow system from a slow machine.

Measured in the same run and the same moments as what it is held against. On an idle machine it allows what the test
says and no more.
"""

import time
from collections.abc import Sequence
from statistics import median

USUAL_CHECKOUT_SECONDS = 0.25
"""What a checkout takes on a deployed stack whose processes have started: more than on an idle machine."""

_STEPS = 300_000
_USUAL_CPU_SECONDS = 0.012
"""What a slow machine with nothing else to do takes for so many steps."""


def times_slower() -> float:
    """By how much plain Python takes more processor time than usual; 1 at least. Takes some hundredths of a second."""
    took = []
    for _ in range(3):
        started = time.thread_time()
        total = 0
        for number in range(_STEPS):
            total += number % 7
        took.append(time.thread_time() - started)
    return max(1.0, min(took) / _USUAL_CPU_SECONDS)


def allowed(seconds: float, *, yardstick: Sequence[float], usually: float) -> float:
    """What is allowed on this machine instead of `seconds`, judged by something else that was timed along with it.

    yardstick: seconds that took, each time. usually: on an idle machine.
    """
    return seconds * max(1.0, median(yardstick) / usually)
