"""The books service: titles, their physical copies, and which of them can be lent."""
