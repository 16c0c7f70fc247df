"""The use cases of the users service, and the ports they need."""
