"""The routes of loans, one module per subject."""
