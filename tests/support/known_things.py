"""Things of a deployed library by the names that paths have for them: what routes with ids are asked about."""

from library_common.ids import new_id
from tests.support.access_matrix import declared, path_parameters
from tests.support.library_client import LibraryClient


def known_things(library: LibraryClient, *, copies: int) -> dict[str, str]:
    """A member with a loan of a title of so many copies; and an id that could exist for everything else in a path."""
    member, book = library.add_member(), library.add_book(copies=copies)
    loan = library.lent(member["id"], book["id"])
    others = {name: new_id() for _, path in declared() for name in path_parameters(path)}
    return {
        **others,
        "user_id": member["id"],
        "book_id": book["id"],
        "loan_id": loan["id"],
        "barcode": loan["barcode"],
        "queue": "RevocationDeadLetters",
        "device_id": "phone-1",
        "name": "welcome",
    }
