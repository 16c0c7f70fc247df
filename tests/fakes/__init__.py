"""In-memory stand-ins for adapters, held to the same suite as the real ones in tests/adapter."""
