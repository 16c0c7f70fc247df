"""Storage of analytics."""
