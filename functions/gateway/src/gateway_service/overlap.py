"""How long keys overlap in a rotation, added up from everything that may be out of date meanwhile.

A rotation moves every key of a ring by one place: the next one begins to sign, the current one becomes the
previous one, and the previous one is forgotten. Nobody notices when two things hold at that moment.

1. Whoever checks tokens knows the next key. It has been there since the rotation before, so this takes as
   long as an authorizer remembers keys: VERIFIER_SECONDS.
2. No token that the previous key signed is still good. It stopped signing at the rotation before; but a
   process that signs may remember the ring as it was then for SIGNER_SECONDS, and what it signs with it in the
   last of these lives for a token's lifetime, and by the verifier's patience with clocks a little longer.

Both began at the rotation before, so the longer of the two counts; it is the second. VERIFIER_SECONDS is added
all the same: for a process that began to fetch just before the keys changed, and for stores that are read a
moment before all of their copies know. Others who check people's tokens, with the keys that users publishes at
/.well-known/jwks.json, have all of the sum for the first of the two.

Caches also serve on, for up to an hour, while their store does not answer. That is not in the sum: they try
again every 15 seconds then, and a rotation itself needs the same stores to answer.
"""

from datetime import timedelta

from library_common.configuration import SECRET_SECONDS
from library_common.tokens import ACCESS_LIFETIME, CLOCK_SKEW_SECONDS, SERVICE_LIFETIME

VERIFIER_SECONDS = 60.0
"""How long an authorizer process remembers published keys and service secrets."""

SIGNER_SECONDS = SECRET_SECONDS
"""How long a process that signs remembers its secret: users the library's key, loans its own."""

SIGNING_KEY_OVERLAP = ACCESS_LIFETIME + timedelta(seconds=SIGNER_SECONDS + VERIFIER_SECONDS + CLOCK_SKEW_SECONDS)
"""15 min + 5 min + 1 min + 5 s."""

SERVICE_SECRET_OVERLAP = SERVICE_LIFETIME + timedelta(seconds=SIGNER_SECONDS + VERIFIER_SECONDS + CLOCK_SKEW_SECONDS)
"""5 min + 5 min + 1 min + 5 s."""
