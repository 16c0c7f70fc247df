"""The gateway for the contract tests: how it reads events."""

from gateway_service.revocations import Revocation
from library_common.consumers import data_of, read_delivery

UNDERSTANDS = {"SessionsRevokedRule": lambda body: data_of(read_delivery(body).message, Revocation)}
