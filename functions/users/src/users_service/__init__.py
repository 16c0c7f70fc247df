"""The users service: who the members are, what they may be called and whether they may use the library."""
