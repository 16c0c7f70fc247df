"""Environment of the admin functions."""

from library_common.settings import ServiceSettings


class AdminSettings(ServiceSettings):
    """Paths under which every stack has a parameter: its dead-letter queues, and its publisher."""

    dead_letters_path: str = ""
    publishers_path: str = ""
