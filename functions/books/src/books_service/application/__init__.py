"""The use cases of the books service and the ports they need."""
