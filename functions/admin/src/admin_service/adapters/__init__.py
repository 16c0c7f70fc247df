"""The queues, the registry of them, and the publishers."""
