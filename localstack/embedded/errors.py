"""The error that ends a command with a message for the person at the keyboard."""


class Refusal(Exception):
    """The command cannot go on. The message says what to do about it."""
