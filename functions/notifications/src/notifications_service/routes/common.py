"""What several subjects use."""

from library_common.access import Access
from library_common.ids import is_id
from library_common.problems import FieldError, InvalidRequest
from notifications_service.domain.errors import UserNotFound

OWN = Access(member=True, own="path:user_id")


def require_user_id(user_id: str) -> str:
    """Raises UserNotFound for a malformed id: no member has it."""
    if not is_id(user_id):
        raise UserNotFound
    return user_id


def damaged_cursor() -> InvalidRequest:
    return InvalidRequest("The cursor is damaged.", errors=[FieldError("cursor", "damaged")])
