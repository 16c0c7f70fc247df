"""What is counted and how: facts, what they contribute, days. Nothing of AWS or HTTP."""
