"""Adapters: the table, the queue, other services, SES and SNS, Jinja2."""
