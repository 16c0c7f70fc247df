"""The outside things."""
