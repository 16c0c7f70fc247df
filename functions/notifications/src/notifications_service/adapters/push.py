"""Devices as SNS knows them: platform endpoints of one platform application."""

import re

from library_common import aws
from notifications_service.domain.errors import DeviceRefused, PushNotConfigured

_KNOWN = re.compile(r"Endpoint (arn:[^ ]+) already exists with the same [Tt]oken")


class SnsPush:
    """Implements `application.ports.PushService`. application: the ARN of the platform application, or empty."""

    def __init__(self, application: str) -> None:
        self._application = application

    def register(self, token: str) -> str:
        if not self._application:
            raise PushNotConfigured
        sns = aws.sns()
        try:
            endpoint = self._endpoint(token)
            # SNS disables endpoints of devices that were away; this enables it again.
            sns.set_endpoint_attributes(EndpointArn=endpoint, Attributes={"Token": token, "Enabled": "true"})
        except (sns.exceptions.InvalidParameterException, sns.exceptions.NotFoundException) as exc:
            # `from None`: SNS repeats the token in its message, and causes are logged.
            if "PlatformApplication" in str(exc):
                raise PushNotConfigured from None
            raise DeviceRefused from None
        return endpoint

    def _endpoint(self, token: str) -> str:
        sns = aws.sns()
        try:
            made = sns.create_platform_endpoint(PlatformApplicationArn=self._application, Token=token)
        except sns.exceptions.InvalidParameterException as exc:
            # The same token gives the same endpoint. For a disabled one, SNS raises an error that names it.
            known = _KNOWN.search(str(exc))
            if known is None:
                raise
            return known.group(1)
        return made["EndpointArn"]

    def forget(self, endpoint: str) -> None:
        aws.sns().delete_endpoint(EndpointArn=endpoint)
