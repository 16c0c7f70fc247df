"""Plumbing every service shares: HTTP, auth context, events, storage access, clock. Never a domain rule."""
