"""The routes of the admin API, one module per subject: translation only."""
