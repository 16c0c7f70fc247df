"""The use cases of notices, and the ports they need."""
