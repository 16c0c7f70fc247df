"""Statistics of the library: read models built from events."""
