"""The rules of membership: plain Python, no clock, no storage."""
