"""What the routes share: which id names something, and whose loan it is."""

from library_common.access import Access, Caller
from library_common.ids import is_id
from loans_service.domain.errors import LendingError, LoanNotFound
from loans_service.domain.loan import Loan

OWN_LOAN_OR_STAFF = Access(member=True, own="loan", librarian=True)


def require_id(text: str, unknown: type[LendingError]) -> str:
    """The id. Raises `unknown` for a malformed one, which names nothing."""
    if not is_id(text):
        raise unknown
    return text


def require_own(caller: Caller, loan: Loan) -> None:
    """Raises LoanNotFound for a member who asks for somebody else's loan, or for one that names nobody."""
    if not caller.is_staff and (loan.user_id is None or not caller.is_person(loan.user_id)):
        raise LoanNotFound
