"""Devices as SNS knows them: platform endpoints of one platform application."""

from library_common import aws
from notifications_service.domain.errors import DeviceRefused, PushNotConfigured


class SnsPush:
    """Implements `application.devices.PushService`. application: the ARN of the platform application, or empty."""

    def __init__(self, application: str) -> None:
        self._application = application

    def register(self, token: str) -> str:
        if not self._application:
            raise PushNotConfigured
        sns = aws.sns()
        try:
            # The same token gives the same endpoint. One that SNS switched off, because the device was away, is
            # switched on again.
            endpoint = sns.create_platform_endpoint(PlatformApplicationArn=self._application, Token=token)[
                "EndpointArn"
            ]
            sns.set_endpoint_attributes(EndpointArn=endpoint, Attributes={"Token": token, "Enabled": "true"})
        except (sns.exceptions.InvalidParameterException, sns.exceptions.NotFoundException) as exc:
            # `from None`: SNS repeats the token in its message, and causes are logged.
            if _about_application(exc):
                raise PushNotConfigured from None
            raise DeviceRefused from None
        return endpoint

    def forget(self, endpoint: str) -> None:
        aws.sns().delete_endpoint(EndpointArn=endpoint)


def _about_application(exc: Exception) -> bool:
    return "PlatformApplication" in str(exc)
