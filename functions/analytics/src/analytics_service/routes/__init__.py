"""The routes of the analytics API, one module per subject: translation only."""
