"""The rules of notices: what is told, how it is worded, and when it may go out. Plain Python."""
