"""One-time codes for a new password and a verified address. No answer tells whether there is an account."""

from collections.abc import Callable

from library_common.access import Access
from library_common.http import ServiceApi
from users_service.bootstrap import UseCases
from users_service.domain.codes import Purpose
from users_service.domain.errors import CodeInvalid, InvalidFields, StillChanging, UnknownValue
from users_service.schemas.requests import PasswordResetBody, PasswordResetConfirmBody, ResendBody, VerifyEmailBody
from users_service.schemas.responses import Asked


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
        raises=[CodeInvalid, InvalidFields, StillChanging, UnknownValue],
        status=204,
    )
    def confirm_password_reset(body: PasswordResetConfirmBody) -> None:
        """Set a new password with the code. It works once, and five wrong ones use it up; all sessions end."""
        provide().reset_password(body.email, body.code, body.new_password)

    @api.post(
        "/api/auth/verify-email",
        access=Access(public=True),
        limit="confirm",
        raises=[CodeInvalid, StillChanging, UnknownValue],
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
