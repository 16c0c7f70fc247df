"""Money: a `Decimal` with two places and a currency, stored as integer minor units. Never a float."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator

_CENT = Decimal("0.01")


class Money(BaseModel):
    """`{"amount": "12.50", "currency": "USD"}`. The amount is a string in JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    amount: Annotated[Decimal, Field(ge=0, le=Decimal("999999.99"), json_schema_extra={"type": "string"})]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]

    @field_validator("amount", mode="before")
    @classmethod
    def _no_floats(cls, value: object) -> object:
        if isinstance(value, float | bool):
            raise ValueError('must be a string, like "12.50"')  # noqa: TRY004 - pydantic reports ValueErrors
        return value

    @field_validator("amount")
    @classmethod
    def _two_places(cls, value: Decimal) -> Decimal:
        rounded = value.quantize(_CENT, rounding=ROUND_HALF_EVEN)
        if rounded != value:
            raise ValueError("must have at most two decimal places")
        return rounded + 0  # + 0 turns -0.00 into 0.00

    @field_serializer("amount")
    def _as_text(self, value: Decimal) -> str:
        return f"{value:.2f}"

    @property
    def minor_units(self) -> int:
        """The amount in cents."""
        return int(self.amount * 100)

    @classmethod
    def from_minor_units(cls, units: int, currency: str) -> "Money":
        return cls(amount=Decimal(units) / 100, currency=currency)
