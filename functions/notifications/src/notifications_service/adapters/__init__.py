"""The outside of notifications: its table, the push service, templates in Jinja2."""
