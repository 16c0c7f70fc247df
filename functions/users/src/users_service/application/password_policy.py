"""Which passwords are accepted: for registration, and for whoever sets a new one."""

from dataclasses import dataclass

from users_service.application.ports import IsCommon
from users_service.domain.errors import InvalidFields
from users_service.domain.passwords import is_own, sound_password


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
            sound = sound_password(password, min_characters=self.min_characters)
        except ValueError as exc:
            raise InvalidFields((field, str(exc))) from exc
        if is_own(sound, name=name, email=email):
            raise InvalidFields((field, "must not be your own name or e-mail address"))
        if self.is_common(sound):
            raise InvalidFields((field, "is among the passwords that are tried first; choose another one"))
        return sound
