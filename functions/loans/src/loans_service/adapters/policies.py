"""The loan policy document in the parameter store, checked whenever it changes."""

from collections.abc import Callable

from pydantic import ValidationError

from library_common.telemetry import count, logger
from loans_service.domain.errors import PolicyMissing
from loans_service.domain.policy import LoanPolicy


class StoredPolicies:
    """Implements `application.ports.Policies`.

    read: returns the document, at most a minute old. time_zone: the library's, for a document without one.
    """

    def __init__(self, read: Callable[[], str], time_zone: str = "UTC") -> None:
        self._read = read
        self._time_zone = time_zone
        self._text: str | None = None
        self._policy: LoanPolicy | None = None

    def current(self) -> LoanPolicy:
        text = self._read()
        if self._policy is None or text != self._text:
            try:
                self._policy = self._parsed(text)
            except ValidationError as exc:
                # A bad document is refused as a whole. The last good one stays in force, if there is one.
                count("LoanPolicyRefused")
                logger().error("loan policy refused", extra={"problems": exc.errors(include_input=False)})
                if self._policy is None:
                    raise PolicyMissing("The library's loan policy is not usable.") from exc
            self._text = text
        return self._policy

    def _parsed(self, text: str) -> LoanPolicy:
        policy = LoanPolicy.model_validate_json(text)
        if "time_zone" in policy.model_fields_set:
            return policy
        return LoanPolicy.model_validate({**policy.model_dump(), "time_zone": self._time_zone})
