"""What is counted and how: facts, what they contribute to counters, days."""
