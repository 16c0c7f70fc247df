"""What can be refused."""


class ReviewNotFound(Exception):
    """The member has not reviewed this title."""

    code = "review_not_found"

    def __init__(self) -> None:
        super().__init__("The member has not reviewed this title.")


class TitleNotReturned(Exception):
    """Only a member who returned a title may review it."""

    code = "title_not_returned"

    def __init__(self) -> None:
        super().__init__("Return the title first, then review it.")
