"""Use cases of analytics: applying events, reports, rebuilding."""
