"""Which passwords are accepted."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library_common.access import ANONYMOUS
from localstack.embedded.seed import DEMO_ACCOUNTS
from tests.fakes.users import Community
from users_service.adapters.passwords import is_common
from users_service.application.password_policy import PasswordPolicy
from users_service.application.registration import Registration
from users_service.domain.credentials import password_to_compare
from users_service.domain.errors import EmailTaken, InvalidFields
from users_service.domain.roles import Role

pytestmark = pytest.mark.unit

ANN = {"name": "Ann Marie Lee", "email": "Ann.Lee+books@Example.com"}
policy = PasswordPolicy(is_common)


def _refusal(password: str, *, min_characters: int = 8, field: str = "password") -> tuple[str, str]:
    with pytest.raises(InvalidFields) as refused:
        PasswordPolicy(is_common, min_characters).check(password, **ANN, field=field)
    (error,) = refused.value.errors
    return error


@pytest.mark.parametrize(
    "password",
    ["correct horse battery staple", "éèêëàâäç", "        9", "x" * 72, "é" * 36, "parola Straße", "ann likes books"],
)
def test_a_sound_password_is_accepted(password: str) -> None:
    assert policy.check(password, **ANN) == password


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("shortie", "at least 8 characters"),
        ("cafe\u0301 ab", "at least 8 characters"),  # eight code points, seven characters
        ("x" * 73, "72 bytes"),
        ("é" * 37, "72 bytes"),
        ("\U0001f4d6" * 19, "72 bytes"),
        ("secret\u0000 key", "control characters"),
        ("secret\tkey", "control characters"),
        ("secret\ud800 key", "control characters"),
        ("password", "most common"),
        ("PassWord", "most common"),
        ("12345678", "most common"),
        ("\uff51\uff57\uff45\uff52\uff54\uff59\uff55\uff49\uff4f\uff50", "most common"),  # full-width qwertyuiop
        ("Ann Marie Lee", "your own name"),
        ("annmarielee", "your own name"),
        ("ANN-MARIE-LEE!", "your own name"),
        ("ann.lee+books@example.com", "your own name or e-mail"),
        ("ann.lee+books", "your own name or e-mail"),
    ],
)
def test_an_unsound_one_is_refused_with_a_sentence(password: str, says: str) -> None:
    field, message = _refusal(password)

    assert field == "password"
    assert says in message
    assert password.lower() == "password" or password not in message


def test_the_refusal_names_the_field_of_the_request() -> None:
    assert _refusal("short", field="new_password")[0] == "new_password"


@pytest.mark.parametrize(("asked", "least"), [(1, 8), (8, 8), (14, 14)])
def test_a_library_may_ask_for_more_but_not_for_less(asked: int, least: int) -> None:
    strict = PasswordPolicy(lambda _: False, asked)

    assert strict.check("y" * least, **ANN)
    with pytest.raises(InvalidFields, match="invalid"):
        strict.check("y" * (least - 1), **ANN)


@given(password=st.text(max_size=80))
def test_whatever_is_accepted_is_what_a_login_compares(password: str) -> None:
    """And bcrypt sees all of it."""
    try:
        accepted = policy.check(password, **ANN)
    except InvalidFields:
        return
    assert password_to_compare(password) == accepted
    assert password_to_compare(unicodedata.normalize("NFD", password)) == accepted
    assert len(accepted) >= 8
    assert len(accepted.encode()) <= 72


@given(password=st.text(alphabet=st.characters(), max_size=120))
def test_nothing_that_is_presented_is_too_odd_to_compare(password: str) -> None:
    assert len(password_to_compare(password).encode()) <= 72


def test_a_name_of_punctuation_forbids_nothing() -> None:
    assert policy.check("--------", name="-", email="-@example.com") == "--------"


def test_the_demonstration_accounts_passwords_are_accepted() -> None:
    for account in DEMO_ACCOUNTS:
        assert policy.check(account.password, name=account.name, email=account.email) == account.password


def test_a_bad_password_is_refused_whether_or_not_the_address_is_taken(community: Community) -> None:
    community.join(email="ann@example.com")
    for email in ("ann@example.com", "bob@example.com"):
        with pytest.raises(InvalidFields):
            _register(community, email, "password1234")
    with pytest.raises(EmailTaken):
        _register(community, "ann@example.com", "a sound password")
    assert community.passwords.hashed == []


def _register(community: Community, email: str, password: str) -> None:
    wanted = Registration(name="Ann Lee", email=email, role=Role.PATRON, password=password)
    community.use_cases.register(wanted, caller=ANONYMOUS, ticket=None)
