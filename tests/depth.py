"""How deep the tests look. TEST_DEPTH=quick is what a developer runs many times a day, TEST_DEPTH=full what CI runs.

Every test runs at both depths. A quick run tries fewer seeds, examples, kills and events.
"""

import os

QUICK, FULL = "quick", "full"

DEPTH = os.environ.get("TEST_DEPTH") or QUICK
if DEPTH not in (QUICK, FULL):
    raise ValueError(f"TEST_DEPTH is {DEPTH!r}; it must be {QUICK!r} or {FULL!r}")


def at_depth[T](*, quick: T, full: T) -> T:
    """The value for this run."""
    return full if DEPTH == FULL else quick
