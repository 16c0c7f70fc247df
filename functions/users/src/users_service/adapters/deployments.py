"""What deployments have done, in the users table.

| item | pk | sk | attributes |
|---|---|---|---|
| first administrator ensured | `FIRSTADMIN#<digest>` | `FIRSTADMIN` | `ensured_at` |

One item per address that was ever named as `AdminEmail` and had its account: as many as deployments named. It is of
the deployment and not of the account: it stays when the account gets another address or is erased. So it holds a
digest of the address and not the address.

| access pattern | how | units |
|---|---|---|
| was this address ensured | GetItem, consistent | 1 read |
| it was ensured | PutItem, unless it is there | 1 write |

The item is written after the account and before the code is asked for: without it the account is looked for once
more, with it the code. Hot keys: none; both happen in deployments only.
"""

import hashlib
from datetime import datetime

from library_common.clock import to_rfc3339
from library_common.dynamodb import ABSENT, ConditionFailed, Table


class DynamoDeployments:
    """`Deployments` on the table of the members."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def has_ensured(self, email_key: str) -> bool:
        return self._table.get(_key(email_key)) is not None

    def mark_ensured(self, email_key: str, at: datetime) -> None:
        try:
            self._table.put({**_key(email_key), "ensured_at": to_rfc3339(at)}, ABSENT)
        except ConditionFailed:
            return  # by the same deployment, asked twice, or by this very call, whose answer was lost


def _key(email_key: str) -> dict[str, str]:
    return {"pk": f"FIRSTADMIN#{hashlib.sha256(email_key.encode()).hexdigest()}", "sk": "FIRSTADMIN"}
