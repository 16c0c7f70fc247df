"""The rules of notices: what becomes one, how it is written, and when it may go out. Plain Python."""
