"""Shared by several test layers: a fixed clock, API Gateway events, queues, a client of the deployed library."""
