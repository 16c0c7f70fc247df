"""Settings of the analytics functions."""

from library_common.settings import ConsumerSettings


class AnalyticsSettings(ConsumerSettings):
    """library_time_zone: the time zone of days and hours."""

    library_time_zone: str = "UTC"
