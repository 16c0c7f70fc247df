"""The outside of loans: its table, the users and books services, its recovery queue."""
