"""Public list prices in US dollars, and what AWS gives away for good (not only for an account's first year).

Of us-east-1, as published in November 2026. Other regions charge up to a quarter more.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Price:
    """usd: for one unit. free: units that cost nothing each month, for as long as the account exists."""

    usd: float
    unit: str
    source: str
    free: float = 0.0


_AWS = "https://aws.amazon.com"

PRICES = {
    "lambda requests": Price(0.20e-6, "requests", f"{_AWS}/lambda/pricing/", free=1e6),
    "lambda time": Price(0.0000133334, "GB-seconds on arm64", f"{_AWS}/lambda/pricing/", free=400_000),
    "api requests": Price(3.50e-6, "requests to a REST API", f"{_AWS}/api-gateway/pricing/"),
    "write units": Price(0.625e-6, "write request units", f"{_AWS}/dynamodb/pricing/on-demand/"),
    "read units": Price(0.125e-6, "read request units", f"{_AWS}/dynamodb/pricing/on-demand/"),
    "tables": Price(0.25, "GB-months", f"{_AWS}/dynamodb/pricing/on-demand/", free=25),
    "continuous backup": Price(0.20, "GB-months", f"{_AWS}/dynamodb/pricing/on-demand/"),
    "queue requests": Price(0.40e-6, "requests to SQS", f"{_AWS}/sqs/pricing/", free=1e6),
    "events": Price(1.00e-6, "custom events", f"{_AWS}/eventbridge/pricing/"),
    "archiving events": Price(0.10, "GB", f"{_AWS}/eventbridge/pricing/"),
    "archived events": Price(0.023, "GB-months", f"{_AWS}/eventbridge/pricing/"),
    "alarms": Price(0.10, "alarm-months", f"{_AWS}/cloudwatch/pricing/", free=10),
    "metrics": Price(0.30, "metric-months", f"{_AWS}/cloudwatch/pricing/", free=10),
    "dashboards": Price(3.00, "dashboard-months", f"{_AWS}/cloudwatch/pricing/", free=3),
    "logs": Price(0.50, "GB", f"{_AWS}/cloudwatch/pricing/", free=5),
    "kept logs": Price(0.03, "GB-months", f"{_AWS}/cloudwatch/pricing/"),
    "parameters": Price(0.0, "standard parameters", f"{_AWS}/systems-manager/pricing/"),
    "key requests": Price(0.03e-4, "requests to KMS", f"{_AWS}/kms/pricing/", free=20_000),
    "secrets": Price(0.40, "secret-months", f"{_AWS}/secrets-manager/pricing/"),
    "keys": Price(1.00, "key-months", f"{_AWS}/kms/pricing/"),
    "e-mails": Price(0.10e-3, "e-mails", f"{_AWS}/ses/pricing/"),
    # To the United States, without what carriers add; elsewhere up to twenty times as much.
    "text messages": Price(0.00645, "text messages", f"{_AWS}/sns/sms-pricing/"),
}
