"""The rules of reviews."""
