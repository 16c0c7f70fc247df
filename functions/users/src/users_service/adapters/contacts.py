"""The formats of e-mail addresses and phone numbers, checked by two libraries.

Both are imported when first needed: reading an account needs neither.
"""

import re
from typing import TYPE_CHECKING

from users_service.domain.credentials import caseless

if TYPE_CHECKING:
    from email_validator import ValidatedEmail

INTERNATIONAL = re.compile(r"\+[0-9][0-9 ().\-/]{2,38}")
"""How a phone number with a country code may be written."""


def checked_email(text: str) -> str:
    """The address as typed. Raises ValueError, with a sentence for people, when it cannot be one."""
    local = _validated(text).local_part
    if not local.isascii() and caseless(local).isascii():
        # `email_key` would take it for another, plain address. Mail to it reaches nobody, or somebody else, and the
        # owner of the plain address could not register.
        raise ValueError("must be written in plain letters before the @")
    return text


def email_key(text: str) -> str:
    """Equal for addresses that differ only in case, Unicode form or the spelling of an international domain.

    Raises ValueError when it is not an address.
    """
    address = _validated(text)
    return f"{caseless(address.local_part)}@{address.ascii_domain.lower()}"


def deliverable(text: str) -> str:
    """The address as mail servers take it: an international domain in its ASCII form.

    Raises ValueError when the part before the @ is not ASCII, which SES delivers to nobody.
    """
    address = _validated(text)
    if not address.local_part.isascii():
        raise ValueError("cannot be delivered to")
    return f"{address.local_part}@{address.ascii_domain}"


def _validated(text: str) -> "ValidatedEmail":
    from email_validator import validate_email  # noqa: PLC0415 - see above

    # strict: also the lengths that mail servers insist on. test_environment: allow .test, which nobody owns, for
    # demonstrations.
    return validate_email(text, check_deliverability=False, strict=True, test_environment=True)


def e164(text: str) -> str:
    """`+441632960001` for any usual writing with a country code.

    Checks whether the length is possible in the country, not whether the number is assigned: new ranges open often.
    Raises ValueError, with a sentence for people.
    """
    import phonenumbers  # noqa: PLC0415 - see above

    if not INTERNATIONAL.fullmatch(text):
        raise ValueError("must begin with + and a country code, as in +44 1632 960001")
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException as exc:
        raise ValueError("is not a phone number with a known country code") from exc
    if not phonenumbers.is_possible_number(number):
        raise ValueError("is too short or too long for a phone number of its country")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
