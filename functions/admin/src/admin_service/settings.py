"""Environment of the admin function."""

from library_common.settings import ServiceSettings


class AdminSettings(ServiceSettings):
    """Names of parameters: the list of dead-letter queues, and that of the publishers."""

    dead_letters_parameter: str = ""
    publishers_parameter: str = ""
