"""The rules of the catalogue and the shelves: plain Python, no storage, no HTTP, no clock of its own."""
