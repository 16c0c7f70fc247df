"""Which e-mail addresses are one mailbox, for counting what goes there."""

import unicodedata
from contextlib import suppress


def mailbox(address: str) -> str:
    """The same for all ways to write an address: case, Unicode form, the domain in ASCII or not, what follows a `+`.

    Two that are told apart by some provider may be one here. Text of any kind is taken.
    """
    local, _, domain = unicodedata.normalize("NFKC", address.strip()).casefold().rpartition("@")
    bare = local.partition("+")[0] or local
    # What cannot be so encoded SES will not take either.
    with suppress(UnicodeError):
        domain = domain.rstrip(".").encode("idna").decode()
    return f"{bare}@{domain}"
