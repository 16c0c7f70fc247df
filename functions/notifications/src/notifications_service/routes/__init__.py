"""The routes of the notifications API, one module per subject: translation only."""
