"""What a member is told at an address that is no longer theirs."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class AddressNotice:
    """Another e-mail address was set; whoever reads the old one hears of it. id: a ULID.

    correlation_id: of the request that changed it.
    """

    id: str
    email: str = field(repr=False)
    changed_at: datetime
    correlation_id: str
