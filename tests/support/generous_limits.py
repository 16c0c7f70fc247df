"""Rate limits that no test reaches by accident, with the leases that are in use."""

import json

from library_common.limits import DEFAULTS

RATE_LIMITS = json.dumps({name: {"capacity": 1_000_000} for name in DEFAULTS})
"""A value for the template's parameter RateLimits: for stacks that are loaded and fuzzed on purpose."""
