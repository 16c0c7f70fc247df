"""What one call of the authorizer costs, cold and warm. Run in a process of its own; prints JSON.

The real handler with its real keyring and view, on stand-ins for the AWS clients that count their calls. CPU
seconds of a warm call are measured beside those of the bare ES256 verification it cannot do without.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jwt

from gateway_service import authorizer
from library_common import aws
from library_common.key_rings import public_jwks_json
from library_common.tokens import AUDIENCE, ISSUER, SigningKey, mint_access_token

KEY = SigningKey.generate()
ROUNDS, CALLS = 15, 200


class Counted:
    """Every AWS client at once."""

    def __init__(self) -> None:
        self.calls = 0

    def get_parameter(self, **_: Any) -> dict[str, Any]:
        self.calls += 1
        return {"Parameter": {"Value": public_jwks_json([KEY])}}

    def query(self, **_: Any) -> dict[str, Any]:
        self.calls += 1
        return {"Items": []}


def main() -> None:
    """Does what the module's docstring says."""
    os.environ |= {
        "TABLE_NAME": "gateway",
        "VERIFICATION_KEYS_PARAMETER": "/keys",
        "SERVICE_KEYS_PATH": "/keys/services",
        "POWERTOOLS_SERVICE_NAME": "gateway",
    }
    client = Counted()
    stand_ins: Any = aws
    for name in ("ssm", "dynamodb_without_retries"):
        setattr(stand_ins, name, lambda: client)
    token = mint_access_token(KEY, subject="U", role="patron", now=datetime.now(UTC))
    event = {"methodArn": "arn:aws:execute-api:x:1:api/v1/GET/x", "headers": {"Authorization": f"Bearer {token}"}}
    public = jwt.PyJWK(KEY.public_jwk()).key

    def call() -> object:
        return authorizer.handler(event, None)

    def bare() -> object:
        return jwt.decode(token, public, algorithms=["ES256"], audience=AUDIENCE, issuer=ISSUER)

    report, sys.stdout = sys.stdout, open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - the log's way out
    first = _cpu(call, 1)
    cold_calls, client.calls = client.calls, 0
    ratios = [_cpu(call, CALLS) / _cpu(bare, CALLS) for _ in range(ROUNDS)]
    print(
        json.dumps(
            {
                "cold_calls": cold_calls,
                "first_call_seconds": first,
                "warm_calls": client.calls,
                "warm_over_bare": statistics.median(ratios),
                "warm_microseconds": 1e6 * _cpu(call, CALLS) / CALLS,
            }
        ),
        file=report,
    )


def _cpu(act: Callable[[], object], times: int) -> float:
    begun = time.process_time()
    for _ in range(times):
        act()
    return time.process_time() - begun


if __name__ == "__main__":
    main()
