"""OIDC issuers: keys held in memory for rules, and one that speaks TLS on loopback for fetching."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from outrider.identity.issuer_keys import FetchError
from tests.support.builders import NOW_UNIX_S
from tests.support.jwt import SigningKey, mint
from tests.support.net import RecordingUpstream, UpstreamTurn

ISSUER: Final = "https://login.corp.test"
AUDIENCE: Final = "outrider"
DISCOVERY: Final = "/.well-known/openid-configuration"
JWKS: Final = "/keys"


def jwks(*keys: SigningKey, **changes: Any) -> bytes:
    """The issuer's document of `keys`, as issuers write it."""
    return orjson.dumps({"keys": [key.jwk(use="sig", alg=key.alg) | changes for key in keys]})


def discovery(issuer: str = ISSUER, **changes: Any) -> bytes:
    document = {"issuer": issuer, "jwks_uri": issuer + JWKS}
    return orjson.dumps(document | changes)


def access_claims(**changes: Any) -> dict[str, Any]:
    """The claims of a valid access token for us; None takes one away."""
    valid: dict[str, Any] = {
        "iss": ISSUER,
        "sub": "alice",
        "aud": AUDIENCE,
        "client_id": "desk",
        "jti": "1",
        "iat": int(NOW_UNIX_S),
        "exp": int(NOW_UNIX_S) + 300,
    }
    return {name: value for name, value in (valid | changes).items() if value is not None}


def an_access_token(key: SigningKey, header: dict[str, Any] | None = None, **changes: Any) -> str:
    return mint(key, access_claims(**changes), header={"typ": "at+jwt"} | (header or {}))


def a_pod_token(key: SigningKey, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A projected service account token, as a cluster signs it."""
    claims = access_claims(
        sub="system:serviceaccount:support:triage",
        aud=[AUDIENCE],
        client_id=None,
        nbf=int(NOW_UNIX_S),
        **{
            "kubernetes.io": {
                "namespace": "support",
                "node": {"name": "n1", "uid": "9a"},
                "pod": {"name": "triage-7", "uid": "7f3c2a10-aaaa-4bbb-8ccc-1234567890ab"},
                "serviceaccount": {"name": "triage", "uid": "11"},
            }
        },
    )
    usual = {"typ": None} | (header or {})
    return mint(key, {k: v for k, v in (claims | changes).items() if v is not None}, header=usual)


@dataclass(slots=True)
class FixedDocuments:
    """`issuer_keys.Fetch`: documents by URL, and every URL that was asked for. A document that is
    an exception is raised; one that is an event is waited for first."""

    documents: dict[str, bytes | Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None

    async def __call__(self, url: str) -> bytes:
        self.asked.append(url)
        if self.gate is not None:
            await self.gate.wait()
        document = self.documents.get(url, FetchError("the issuer answered 404"))
        if isinstance(document, Exception):
            raise document
        return document

    def serve(self, *keys: SigningKey, issuer: str = ISSUER) -> None:
        """Discovery and keys of `issuer`, in place of what it served before."""
        self.documents[issuer + DISCOVERY] = discovery(issuer)
        self.documents[issuer + JWKS] = jwks(*keys)


def answer(body: bytes, status: str = "200 OK", *fields: str) -> bytes:
    head = "".join(f"{one}\r\n" for one in (f"Content-Length: {len(body)}", *fields))
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


@dataclass(slots=True)
class FakeIssuer(RecordingUpstream):
    """An issuer on loopback; `says` gives the whole answer to each path."""

    says: Callable[[str], bytes] = field(default=lambda _path: answer(b"", "404 Not Found"))

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def converse(self, turn: UpstreamTurn) -> None:
        while True:
            seen = await turn.request()
            await turn.say(self.says(seen.line.split(" ")[1]))

    def serve(self, *keys: SigningKey) -> None:
        def say(path: str) -> bytes:
            documents = {DISCOVERY: discovery(self.url), JWKS: jwks(*keys)}
            found = documents.get(path)
            return answer(b"", "404 Not Found") if found is None else answer(found)

        self.says = say
