"""Environment of the analytics functions."""

from library_common.settings import ConsumerSettings


class AnalyticsSettings(ConsumerSettings):
    """library_time_zone: whose days and hours count."""

    library_time_zone: str = "UTC"
