"""The error for a lost race on a stored version, in every service."""


class VersionConflict(Exception):
    """The item was changed by somebody else after it was read. Read it again and decide again.

    current: what is stored now, where the adapter knows it; None where it does not.
    """

    def __init__(self, current: object = None) -> None:
        super().__init__("The item was changed after it was read.")
        self.current = current
