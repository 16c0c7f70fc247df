"""Base classes of request bodies and list queries, and the problem document as a schema."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class RequestBody(BaseModel):
    """Base of every request body. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


def with_examples(*bodies: dict[str, JsonValue]) -> ConfigDict:
    """The `model_config` of a request body that people write by hand: complete example bodies for the documentation.

    It is merged with the configuration of RequestBody. Subclasses inherit the examples unless they have their own.
    """
    return ConfigDict(json_schema_extra={"examples": list(bodies)})


class ListQuery(BaseModel):
    """Base of every list's query string. Unknown parameters are refused, so a misspelt filter is noticed."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=100, description="Items per page.")] = 20
    cursor: Annotated[str | None, Field(max_length=4000, description="`next_cursor` of the page before.")] = None


class FieldProblem(BaseModel):
    """A refused field."""

    field: str
    message: str


class ReasonProblem(BaseModel):
    """One of several rules that refused."""

    code: str
    detail: str


class Problem(BaseModel):
    """RFC 9457 problem document."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    correlation_id: str
    errors: list[FieldProblem] | None = None
    reasons: list[ReasonProblem] | None = None
