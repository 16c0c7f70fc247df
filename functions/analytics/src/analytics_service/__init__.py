"""Statistics of the library: read models fed by events."""
