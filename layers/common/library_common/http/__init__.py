"""The HTTP side of every service. Import these names from here; the modules inside may change.

`ServiceApi` declares the routes and is the Lambda handler. `RequestBody` and `ListQuery` are the base classes of what
clients send. `CurrentCaller`, `IfMatch` and `IdempotencyKey` are annotations for parameters of an endpoint.
"""

from library_common.http.api import ServiceApi
from library_common.http.edge import MAX_BODY_BYTES
from library_common.http.errors import MAX_FIELD_ERRORS
from library_common.http.headers import (
    CurrentCaller,
    IdempotencyKey,
    IfMatch,
    mark_replayed,
    require_version,
    set_etag,
)
from library_common.http.schemas import ListQuery, RequestBody, with_examples

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_FIELD_ERRORS",
    "CurrentCaller",
    "IdempotencyKey",
    "IfMatch",
    "ListQuery",
    "RequestBody",
    "ServiceApi",
    "mark_replayed",
    "require_version",
    "set_etag",
    "with_examples",
]
