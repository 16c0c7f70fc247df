"""The addresses that had the account of a first administrator, in the users table.

| item | pk | sk | attributes |
|---|---|---|---|
| first administrator | `FIRSTADMIN#<digest>` | `FIRSTADMIN` | `ensured_at` |

One item for each address that deployments named as `AdminEmail`. It stays when the account gets another address or is
erased, so it holds a digest of the address and not the address.

| access pattern | how | units |
|---|---|---|
| is the address there | GetItem, consistent | 1 read |
| add an address | PutItem, unless it is there | 1 write |

The item is written after the account and before the code is requested. Hot keys: none; used in deployments only.
"""

import hashlib
from datetime import datetime

from library_common.clock import to_rfc3339
from library_common.dynamodb import ABSENT, ConditionFailed, Table


class DynamoFirstAdministrators:
    """`FirstAdministrators` on the table of the members."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def contains(self, email_key: str) -> bool:
        return self._table.get(_key(email_key)) is not None

    def record(self, email_key: str, at: datetime) -> None:
        try:
            self._table.put({**_key(email_key), "ensured_at": to_rfc3339(at)}, ABSENT)
        except ConditionFailed:
            return  # by the same deployment, asked twice, or by this very call, whose answer was lost


def _key(email_key: str) -> dict[str, str]:
    return {"pk": f"FIRSTADMIN#{hashlib.sha256(email_key.encode()).hexdigest()}", "sk": "FIRSTADMIN"}
