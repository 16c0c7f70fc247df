"""What deployments have done, in memory."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class FakeDeployments:
    """Implements `Deployments`."""

    ensured: dict[str, datetime] = field(default_factory=dict)

    def has_ensured(self, email_key: str) -> bool:
        return email_key in self.ensured

    def mark_ensured(self, email_key: str, at: datetime) -> None:
        self.ensured.setdefault(email_key, at)
