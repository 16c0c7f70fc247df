"""Request and response bodies of the notifications API, one module per subject."""
