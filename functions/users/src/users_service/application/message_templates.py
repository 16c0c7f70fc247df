"""The texts of messages with a one-time code, and of notices. Nothing in them comes from whoever asked."""

from dataclasses import dataclass
from datetime import datetime

from users_service.domain.codes import LIFETIME, Purpose

_MINUTES = int(LIFETIME.total_seconds()) // 60


@dataclass(frozen=True)
class Message:
    """A plain e-mail."""

    subject: str
    body: str


@dataclass(frozen=True)
class MessageTemplates:
    """library: its name, one line."""

    library: str

    def email(self, purpose: Purpose, digits: str) -> Message:
        """The e-mail with a code."""
        if purpose is Purpose.PASSWORD_RESET:
            subject = f"{self.library}: your code for a new password"
            what = f"Somebody, probably you, wants to set a new password for your account at {self.library}."
            if_not = "If it was not you, do nothing: without the code your password stays as it is."
        else:
            subject = f"{self.library}: confirm your e-mail address"
            what = f"This address was given for an account at {self.library}."
            if_not = "If it was not you, do nothing: without the code the address stays unconfirmed."
        body = (
            f"{what}\n\n"
            f"Your code: {digits}\n\n"
            f"It is valid for {_MINUTES} minutes and works once. Nobody at the library will ever ask you for it.\n\n"
            f"{if_not}\n"
        )
        return Message(subject, body)

    def address_changed(self, at: datetime) -> Message:
        """The notice to an address that is no longer the account's."""
        return Message(
            f"{self.library}: your e-mail address was changed",
            f"On {at:%d %B %Y at %H:%M} UTC another e-mail address was set for your account at {self.library}. "
            "Messages go there from now on.\n\n"
            "If that was neither you nor the library at your request, tell the library at once: "
            "somebody else may be using your account.\n",
        )

    def text(self, digits: str) -> str:
        """The text message with a code for a new password."""
        return (
            f"{self.library}: {digits} is your code for a new password, valid for {_MINUTES} minutes. "
            "If you did not ask for it, ignore this."
        )
