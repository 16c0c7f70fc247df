"""The shortest time between two rotations of a ring, added up from everything that may be out of date meanwhile.

A rotation moves every key of a ring by one place: the next key begins to sign, the current key becomes the previous
one, and the previous key is dropped. Nobody notices it when two things are true at that moment.

1. Every verifier knows the next key. It was published at the last rotation; an authorizer caches for VERIFIER_SECONDS.
2. No valid token is signed with the previous key. It stopped signing at the last rotation, but a process that signs
   caches the ring for SIGNER_SECONDS, and its last token is valid for a token's lifetime and the clock skew on top.

Both periods begin at the last rotation, so the longer one counts: the second. VERIFIER_SECONDS is added to it, for a
process that fetched just before the keys changed and for stores with copies that lag. Others that check people's
tokens with /.well-known/jwks.json have the whole sum to fetch the next key.

While a store does not answer, caches serve for up to an hour more. That is not in the sum: they try again every 15
seconds, and a rotation itself needs the same stores.
"""

from datetime import timedelta

from library_common.configuration import SECRET_SECONDS
from library_common.tokens import ACCESS_LIFETIME, CLOCK_SKEW_SECONDS, SERVICE_LIFETIME

VERIFIER_SECONDS = 60.0
"""How long an authorizer caches published keys and services' keys."""

SIGNER_SECONDS = SECRET_SECONDS
"""How long a process that signs caches its key: users the library's, other services their own."""

SIGNING_KEY_OVERLAP = ACCESS_LIFETIME + timedelta(seconds=SIGNER_SECONDS + VERIFIER_SECONDS + CLOCK_SKEW_SECONDS)
SERVICE_SECRET_OVERLAP = SERVICE_LIFETIME + timedelta(seconds=SIGNER_SECONDS + VERIFIER_SECONDS + CLOCK_SKEW_SECONDS)
"""15 min, for services 5 min, and on top 5 min + 1 min + 5 s."""
