"""The lending rules: plain Python, no AWS, no HTTP, no clock of their own."""
