"""Things of a deployed library by the names that paths have for them: what routes with ids are asked about."""

from library_common.ids import new_id
from tests.support.library_client import LibraryClient


def known_things(library: LibraryClient, *, copies: int) -> dict[str, str]:
    """A member with a loan of a title of so many copies; and of everything else a name that a path takes."""
    member, book = library.add_member(), library.add_book(copies=copies)
    loan = library.lent(member["id"], book["id"])
    return {
        "user_id": member["id"],
        "book_id": book["id"],
        "loan_id": loan["id"],
        "barcode": loan["barcode"],
        "queue": "RevocationDeadLetters",
        "notification_id": new_id(),
        "announcement_id": new_id(),
        "device_id": "phone-1",
        "name": "welcome",
    }
