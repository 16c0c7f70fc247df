"""What a login and a refresh answer, and the published keys: the contract with clients."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from users_service.application.views import UserView


class SessionView(BaseModel):
    """Tokens, and whose they are. Never logged."""

    access_token: Annotated[str, Field(repr=False, description="For the Authorization header.")]
    refresh_token: Annotated[str, Field(repr=False, description="Good once, for the next pair of tokens.")]
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a kind of token, not one
    expires_in: Annotated[int, Field(description="Seconds that the access token lasts.")]
    user: UserView


class PublicKeyView(BaseModel):
    """A public ES256 key (RFC 7517, RFC 7518 section 6.2.1). What is not named here is never answered."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: str
    y: str
    kid: str
    alg: Literal["ES256"]
    use: Literal["sig"]


class KeysView(BaseModel):
    """A JSON Web Key Set: the keys that access tokens are checked with; during a rotation several."""

    keys: list[PublicKeyView]
