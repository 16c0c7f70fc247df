"""What dead letters are, and what can be done about them."""
