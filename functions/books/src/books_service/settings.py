"""Settings of the books service's functions."""

from typing import Annotated

from pydantic import Field

from library_common.settings import ServiceSettings


class BooksSettings(ServiceSettings):
    """barcode_institution: the four digits that generated barcodes carry after the leading 3."""

    barcode_institution: Annotated[str, Field(pattern=r"^[0-9]{4}$")] = "0001"
