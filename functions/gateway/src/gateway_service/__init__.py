"""The Lambda authorizer: proves who is calling, once for all services."""
