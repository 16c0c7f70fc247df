"""The rules of accounts, memberships, sessions and codes: plain Python, no clock, no storage."""
