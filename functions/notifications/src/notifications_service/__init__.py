"""Notices to members: what to tell whom, by which way and when."""
