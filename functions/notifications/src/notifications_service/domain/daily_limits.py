"""The limits on messages a day by name, and which e-mail addresses count as one mailbox."""

import unicodedata
from contextlib import suppress

SMS = "member_sms"
EMAIL = "member_email"
UNPROVED_EMAIL = "unproved_email"
UNPROVED_WARNING = "unproved_warning"
"""Names in `library_common.limits`. The last one limits the warnings that may go past `UNPROVED_EMAIL`."""

BY_HAND = {SMS: "by_hand_sms", EMAIL: "by_hand_email", UNPROVED_EMAIL: "by_hand_unproved"}
"""For each limit the part of it that messages sent by staff may use up."""


def mailbox(address: str) -> str:
    """The same for all spellings of an address: case, Unicode form, the domain in ASCII or not, anything after a `+`.

    Two addresses that a provider tells apart may be one here. Takes any text.
    """
    local, _, domain = unicodedata.normalize("NFKC", address.strip()).casefold().rpartition("@")
    bare = local.partition("+")[0] or local
    # SES does not take a domain that cannot be encoded.
    with suppress(UnicodeError):
        domain = domain.rstrip(".").encode("idna").decode()
    return f"{bare}@{domain}"
