"""Environment of the loans functions."""

from library_common.settings import ServiceSettings


class LoansSettings(ServiceSettings):
    """Parameters and secrets are named here and read when first needed."""

    services_url_parameter: str = ""
    service_secret_arn: str = ""
    loan_policy_parameter: str = ""
    library_time_zone: str = "UTC"
    recovery_queue_url: str = ""
    recovery_delay_seconds: int = 45
