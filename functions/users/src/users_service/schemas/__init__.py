"""The bodies of the users API: what clients send and what they are answered."""
