"""Environment of the reviews functions."""

from library_common.settings import ConsumerSettings


class ReviewsSettings(ConsumerSettings):
    """Nothing of its own."""
