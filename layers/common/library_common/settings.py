"""Settings that services share. They are read from the environment when first needed, not at import."""

from math import inf

from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Environment of a service's functions. Each service extends it in its `settings.py`."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    table_name: str = ""
    event_bus_name: str = ""
    publish_dead_letters: str = ""


class ConsumerSettings(ServiceSettings):
    """Environment of a function that works on a queue (`library_common.consumers`)."""

    queue_url: str = ""
    dead_letters_url: str = ""


class CallerSettings(ServiceSettings):
    """Environment of a function that calls other services (`library_common.service_calls`)."""

    services_url_parameter: str = ""
    service_key_parameter: str = ""


class WaitLimits(BaseSettings):
    """Upper limits in seconds, of how long anything is cached and how long a circuit breaker stays open.

    There are none in the templates. The tests of a deployed system set them, so as not to wait for minutes.
    """

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    max_cache_seconds: float = inf
    max_breaker_pause_seconds: float = inf
