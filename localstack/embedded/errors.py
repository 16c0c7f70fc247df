"""The one error that ends a command: a sentence for the person at the keyboard."""


class Refusal(Exception):
    """The command cannot go on. The message is one sentence and says what to do about it."""
