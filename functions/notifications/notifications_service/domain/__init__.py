"""What the rules are about: events of the library, told as notices."""
