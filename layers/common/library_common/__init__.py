"""What all services share: HTTP, callers, events, queues, storage, time. No domain rules."""
