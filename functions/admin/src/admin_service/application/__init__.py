"""Looking at dead letters, and sending them off again."""
