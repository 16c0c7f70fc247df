"""Environment of the analytics functions."""

from library_common.settings import ConsumerSettings


class AnalyticsSettings(ConsumerSettings):
    """library_time_zone: whose days and hours count. services_url_parameter: where the address of the API is."""

    library_time_zone: str = "UTC"
    services_url_parameter: str = ""
