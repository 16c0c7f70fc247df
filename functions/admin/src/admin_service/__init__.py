"""Running the library: what has stuck, and what to do about it."""
