"""Addresses that are the same, addresses and numbers that are none, passwords that bcrypt would cut."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from users_service.adapters.contacts import checked_email, e164, email_key
from users_service.adapters.passwords import BcryptPasswords
from users_service.domain.credentials import caseless, password_to_hash

pytestmark = pytest.mark.unit

LOCAL = st.text("abcxyzäöéñçß0123456789βωψжйøåÅÉ", min_size=1, max_size=20)
DOMAIN = st.sampled_from(["example.com", "müller.de", "BÜCHER.example.org", "xn--mller-kva.de", "例え.jp"])


@given(local=LOCAL, domain=DOMAIN, data=st.data())
def test_writing_an_address_differently_does_not_make_it_another(local: str, domain: str, data: st.DataObject) -> None:
    write = data.draw(
        st.sampled_from(
            [
                str.upper,
                str.lower,
                str.title,
                str.swapcase,
                lambda text: unicodedata.normalize("NFD", text),
                lambda text: unicodedata.normalize("NFC", text.upper()),
            ]
        )
    )

    assert email_key(f"{write(local)}@{write(domain)}") == email_key(f"{local}@{domain}")


@given(first=LOCAL, second=LOCAL)
def test_only_case_and_unicode_form_are_ignored(first: str, second: str) -> None:
    same = unicodedata.normalize("NFKC", first).casefold() == unicodedata.normalize("NFKC", second).casefold()

    assert (email_key(f"{first}@example.com") == email_key(f"{second}@example.com")) == same


@given(st.text())
def test_folding_what_is_folded_changes_nothing(text: str) -> None:
    assert caseless(caseless(text)) == caseless(text)


def test_the_two_writings_of_an_international_domain_are_one() -> None:
    assert email_key("ann@Müller.de") == email_key("ANN@xn--mller-kva.DE")


@pytest.mark.parametrize(
    "text", ["ann@example.com", "Ann.O'Neil+books@Sub.Example.co.uk", "jürgen@müller.de", "ann@library.test"]
)
def test_addresses_are_kept_as_typed(text: str) -> None:
    assert checked_email(text) == text


@pytest.mark.parametrize("text", ["\uff4bim@example.org", "gro\u00df@example.org"])
def test_an_address_that_only_looks_like_another_is_refused(text: str) -> None:
    """It would take the place of the plainly written one, which nobody could register then."""
    assert email_key(text).isascii()
    with pytest.raises(ValueError, match="plain letters"):
        checked_email(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "ann",
        "ann@",
        "@example.com",
        "ann@example",
        "ann@@example.com",
        "ann..lee@example.com",
        "ann@example..com",
        "ann lee@example.com",
        "Ann <ann@example.com>",
        "ann@example.com, bob@example.com",
        "ann@[127.0.0.1]",
        '"ann"@example.com',
        "ann@localhost",
        f"{'a' * 65}@example.com",
        f"ann@{'a' * 64}.com",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        checked_email(text)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("+44 1632 960001", "+441632960001"),
        ("+44 (0)1632 960001", "+441632960001"),
        ("+254-712-345678", "+254712345678"),
        ("+1 (212) 555.0123", "+12125550123"),
        ("+49/30/901820", "+4930901820"),
    ],
)
def test_phone_numbers_are_stored_as_e164(text: str, stored: str) -> None:
    assert e164(text) == stored


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "01632 960001",
        "0044 1632 960001",
        "+44",
        "+44 1",
        "+999 123456789",
        "+44 1632 960001 ext. 5",
        "+44 1632 960001;ext=5",
        "call +44 1632 960001",
        "+1 800 FLOWERS",
        "+4416329600011632960001",
        "+44\u00a01632\u00a0960001\n",
        "٠١٢٣٤٥٦٧",
    ],
)
def test_what_is_no_international_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        e164(text)


def test_a_password_has_72_bytes_at_most() -> None:
    assert password_to_hash("a" * 72) == "a" * 72
    assert password_to_hash("é" * 36) == "é" * 36
    for too_long in ("a" * 73, "é" * 37, "😀" * 19):
        with pytest.raises(ValueError, match="72 bytes"):
            password_to_hash(too_long)


@pytest.mark.parametrize("text", ["", "1234567", "e\u0301" * 7])
def test_a_password_has_8_characters_at_least(text: str) -> None:
    with pytest.raises(ValueError, match="8 characters"):
        password_to_hash(text)


@pytest.mark.parametrize("text", ["secret\x00123", "secret\n123", "secret\ud800123"])
def test_a_password_has_no_control_characters(text: str) -> None:
    with pytest.raises(ValueError, match="control"):
        password_to_hash(text)


def test_a_password_is_the_same_however_its_accents_were_typed() -> None:
    assert password_to_hash("cafe\u0301 noir") == password_to_hash("caf\u00e9 noir")


def test_spaces_in_a_password_count() -> None:
    assert password_to_hash("  secret ") == "  secret "


@given(st.text(min_size=8, max_size=72))
def test_every_acceptable_password_is_hashed_whole(text: str) -> None:
    try:
        password = password_to_hash(text)
    except ValueError:
        return
    # bcrypt refuses what it would cut, and NUL.
    assert len(password) >= 8
    assert len(password.encode()) <= 72
    assert "\0" not in password


def test_hashes_are_salted_and_match_their_password_only() -> None:
    import bcrypt  # noqa: PLC0415 - beside its use, as in the service

    passwords = BcryptPasswords(rounds=4)
    longest = "a" * 72
    first, second = passwords.hash(longest), passwords.hash(longest)

    assert first != second
    assert bcrypt.checkpw(longest.encode(), first.encode())
    assert not bcrypt.checkpw(("a" * 71 + "b").encode(), first.encode())
    assert first.startswith("$2b$04$")
