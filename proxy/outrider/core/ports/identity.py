"""Who asks, and how we prove who we are."""

from typing import Protocol

from outrider.core.exchange import Exchange
from outrider.core.jsonvalue import JsonObject
from outrider.core.subject import Subject


class Identifier(Protocol):
    async def authenticate(self, exchange: Exchange) -> Subject:
        """The proven caller. Raises `UnauthenticatedError` with its closed `cause`."""


class TokenSigner(Protocol):
    """Signs tokens of ours and reads them again. The key never leaves it."""

    @property
    def issuer(self) -> str | None:
        """Our SPIFFE ID; None where we have none."""

    def sign(self, typ: str, claims: JsonObject) -> str:
        """A compact JWS. Its `exp` is cut to what the key's own certificate has left. Raises
        `CredentialUnavailableError` where we hold no key to sign with."""

    def read(self, typ: str, token: str) -> JsonObject:
        """The claims of a token that one of our own keys signed as `typ`; nothing else of it is
        checked. Raises `UnauthenticatedError`."""
