"""The routes of the users API, one module per subject: translation only."""
