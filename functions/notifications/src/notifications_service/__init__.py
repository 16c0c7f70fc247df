"""Notices to members: what is sent to whom, by which channel and when."""
