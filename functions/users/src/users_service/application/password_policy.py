"""Which passwords are accepted, at registration and after a reset."""

from dataclasses import dataclass

from users_service.application.ports import IsCommon
from users_service.domain.credentials import is_own, password_to_hash
from users_service.domain.errors import InvalidFields


@dataclass(frozen=True)
class PasswordPolicy:
    """The library's rules. min_characters: from the settings; the domain asks for at least 8 whatever it is."""

    is_common: IsCommon
    min_characters: int = 8

    def check(self, password: str, *, name: str, email: str, field: str = "password") -> str:
        """The password in the form to hash (NFC). name and email: its owner's. field: how the request names it.

        Raises InvalidFields with a sentence for people.
        """
        try:
            accepted = password_to_hash(password, min_characters=self.min_characters)
        except ValueError as exc:
            raise InvalidFields((field, str(exc))) from exc
        if is_own(accepted, name=name, email=email):
            raise InvalidFields((field, "must not be your own name or e-mail address"))
        if self.is_common(accepted):
            raise InvalidFields((field, "is one of the most common passwords; choose another one"))
        return accepted
