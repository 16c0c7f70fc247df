"""One-time codes for a new password and a verified address. No answer tells whether there is an account."""

from collections.abc import Callable

from pydantic import BaseModel

from library_common.access import Access
from library_common.http import ServiceApi
from users_service.application.use_cases import UseCases
from users_service.domain.codes import Purpose
from users_service.domain.errors import CodeInvalid, InvalidFields, StillChanging
from users_service.shapes import PasswordResetBody, PasswordResetConfirmBody, ResendBody, VerifyEmailBody


class Asked(BaseModel):
    """The same for everybody."""

    detail: str = "If there is an account for which this can be done, a code is on its way. It is valid for 10 minutes."


def declare(api: ServiceApi, provide: Callable[[], UseCases]) -> None:
    """The routes on the use cases that `provide` answers."""

    @api.post("/api/auth/password-reset", access=Access(public=True), limit="reset", status=202)
    def ask_for_password_reset(body: PasswordResetBody) -> Asked:
        """Ask for a code that lets one set a new password. The answer is the same with and without an account."""
        provide().ask_for_code(Purpose.PASSWORD_RESET, body.email, body.channel)
        return Asked()

    @api.post(
        "/api/auth/password-reset/confirm",
        access=Access(public=True),
        limit="confirm",
        raises=[CodeInvalid, InvalidFields, StillChanging],
        status=204,
    )
    def confirm_password_reset(body: PasswordResetConfirmBody) -> None:
        """Set a new password with the code. It works once, and five wrong ones use it up; all sessions end."""
        provide().reset_password(body.email, body.code, body.new_password)

    @api.post(
        "/api/auth/verify-email",
        access=Access(public=True),
        limit="confirm",
        raises=[CodeInvalid, StillChanging],
        status=204,
    )
    def verify_email(body: VerifyEmailBody) -> None:
        """Prove with the code that the address is yours. A membership that was waiting for it becomes active."""
        provide().verify_email(body.email, body.code)

    @api.post("/api/auth/verify-email/resend", access=Access(public=True), limit="reset", status=202)
    def resend_verification(body: ResendBody) -> Asked:
        """Ask for another code that proves an address. The answer is the same with and without an account."""
        provide().ask_for_code(Purpose.VERIFY_EMAIL, body.email)
        return Asked()
