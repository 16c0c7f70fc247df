"""The routes of the books API, one module per subject: translation only."""
