"""A Workload API to be told what to say, the harness on it, and both ends of TLS that meet it.

Laws of the suite: a right one is taken before a wrong one is tried; an update is proved ignored by
one behind it that arrives; every call is recorded; a peer is accepted where the harness named it.
"""

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography import x509

from outrider.core.clock import SystemClock
from outrider.identity import _compat, workload_proto as proto
from outrider.identity.snapshot import Snapshot
from tests.support.fake_workload_api import FakeWorkloadApi, SvidEntry
from tests.support.jwt import SigningKey, a_bundle, a_key, mint
from tests.support.net import dialled
from tests.support.spiffe_ca import Ca, Svid, a_ca
from tests.support.spiffe_harness import Harness

HOME: Final = "spiffe://a.test"
AWAY: Final = "spiffe://b.test"
AUDIENCE: Final = "conformance"
OWN_ID: Final = f"{HOME}/workload"
WITHIN_S: Final = 15.0
HEADER: Final = ("workload.spiffe.io", "true")
CALLS: Final = frozenset({proto.FETCH_X509_SVID, proto.FETCH_JWT_BUNDLES, proto.FETCH_JWT_SVID})


class End(Enum):
    """Which end of TLS the harness is."""

    SERVER = "server"
    CLIENT = "client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a client saw at the harness's TLS port: the line, and the chain it was shown."""

    line: str
    chain: tuple[bytes, ...]

    @property
    def shown_id(self) -> str | None:
        """The SPIFFE ID the harness showed; None where it took nobody."""
        return _uri(x509.load_der_x509_certificate(self.chain[0])) if self.line else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer of the control port."""

    status: int
    body: dict[str, Any]


def entry(svid: Svid, *authorities: Ca, spiffe_id: str | None = None) -> SvidEntry:
    """`svid` as the Workload API gives it, with `authorities` beside it."""
    return SvidEntry(
        spiffe_id=spiffe_id or _uri(svid.certificate),
        chain=svid.chain_der,
        key=svid.key_der,
        bundle=b"".join(one.der for one in authorities),
    )


def _uri(certificate: x509.Certificate) -> str:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return names.value.get_values_for_type(x509.UniformResourceIdentifier)[0]


@dataclass(slots=True, kw_only=True)
class Ports:
    """A harness that is reached by its ports alone, in this process or in one of its own."""

    ca: Ca
    x509: int
    control: int

    async def probe(self, shown: Svid | None = None) -> Seen:
        """Connect to the TLS port as `shown`; an empty line is a refusal."""
        context = _context(ssl.PROTOCOL_TLS_CLIENT, shown or self.ca.svid("/probe"), self.ca)
        writer = None
        chain: tuple[bytes, ...] = ()
        try:
            async with asyncio.timeout(WITHIN_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.x509, ssl=context)
                chain = tuple(
                    _compat._chain(writer.get_extra_info("ssl_object"), "get_unverified_chain")
                )
                line = (await reader.readline()).decode()
        except (ConnectionError, ssl.SSLError):
            line = ""
        finally:
            if writer is not None:
                writer.transport.abort()
        assert not line or line.endswith("\n")
        return Seen(line=line.removesuffix("\n"), chain=chain)

    async def post(self, path: str, body: Mapping[str, Any]) -> Said:
        """Ask the control port."""
        data = orjson.dumps(body)
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
        async with dialled(self.control) as client:
            await client.send(head.encode() + data)
            answer = await client.answer()
        said = Said(status=answer.status, body=orjson.loads(answer.body))
        known = {200: "ok", 422: "rejected", 500: "error"}
        assert said.body["status"] == known[said.status]
        return said

    async def validate(self, token: str) -> Said:
        return await self.post("/v1/jwt/validate", {"token": token, "audience": AUDIENCE})

    async def fetch(self, *audience: str, spiffe_id: str = "") -> Said:
        asked = {"audience": list(audience), "spiffe_id": spiffe_id}
        return await self.post("/v1/jwt/fetch", asked)

    async def dial(self, shown: Svid) -> Said:
        """Have the harness connect to a server that shows `shown`."""
        async with door(shown, self.ca) as (port, entered):
            said = await self.post("/v1/x509/dial", {"address": f"127.0.0.1:{port}"})
            if said.status != 200:
                assert entered == []
        return said

    async def takes(self, end: End, shown: Svid) -> str | None:
        """The ID the harness names for a peer that shows `shown`; None where it is refused."""
        if end is End.SERVER:
            return (await self.probe(shown)).line or None
        said = await self.dial(shown)
        assert said.status in (200, 422), said
        return said.body["spiffe_id"] if said.status == 200 else None


@asynccontextmanager
async def door(shown: Svid, ca: Ca) -> AsyncIterator[tuple[int, list[str]]]:
    """A TLS server that shows `shown`: its port, and one entry for each handshake that ended."""
    entered: list[str] = []

    async def enter(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        entered.append("in")
        writer.close()

    context = _context(ssl.PROTOCOL_TLS_SERVER, shown, ca)
    server = await asyncio.start_server(enter, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], entered
    finally:
        server.close()


def _context(protocol: Any, shown: Svid, ca: Ca) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=ca.root.der)
    with _compat.key_file(shown.pem, on_disk=True) as path:
        context.load_cert_chain(path)
    return context


def ports_of(harness: Harness, ca: Ca) -> Ports:
    return Ports(ca=ca, x509=harness.x509_port, control=harness.control_port)


@dataclass(slots=True, kw_only=True)
class Stage(Ports):
    """The agent, and the harness in this process: what it took on is known to the last update."""

    agent: FakeWorkloadApi
    harness: Harness
    key: SigningKey
    told: list[Snapshot]

    def give(
        self,
        *svids: Svid,
        authorities: Sequence[Ca] = (),
        federated: Mapping[str, Ca] | None = None,
    ) -> None:
        """Push `svids`, the first being the default; by default beside our CA alone."""
        self.agent.push_x509(
            *(entry(svid, *(authorities or (self.ca,))) for svid in svids),
            federated={name: ca.der for name, ca in (federated or {}).items()},
        )

    async def shows(self, path: str) -> Seen:
        """Wait until the TLS port shows the SVID of `path`."""
        wanted = f"{HOME}{path}"

        async def shown() -> bool:
            seen.append(await self.probe())
            return seen[-1].shown_id == wanted

        seen: list[Seen] = []
        await until(shown)
        return seen[-1]

    async def settle(self, *, path: str = "/barrier", **changes: Any) -> None:
        """Push an SVID of `path` with `changes` of trust, and wait until it is in use."""
        self.give(self.ca.svid(path), **changes)
        await self.shows(path)

    def publish(self, bundles: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Push JWT bundles: trust domain -> JWKs."""
        self.agent.push_jwt_bundles(
            {name: a_bundle(*(dict(jwk) for jwk in jwks)) for name, jwks in bundles.items()}
        )

    async def until_taken(self, token: str) -> None:
        async def taken() -> bool:
            return (await self.validate(token)).status == 200

        await until(taken)

    async def until_held(self, ids: list[str | None]) -> None:
        await self.agent.wait_until(lambda: self.held() == ids, within_s=WITHIN_S)

    def held(self) -> list[str | None]:
        """Every identity it had since it was ready, in order; None: it had none."""
        ids = [each.svid.spiffe_id.text if each.svid else None for each in self.told]
        return [one for index, one in enumerate(ids) if index == 0 or ids[index - 1] != one]


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a valid token for `AUDIENCE`; None takes one away."""
    now = int(SystemClock().unix_s())
    valid = {"sub": OWN_ID, "aud": [AUDIENCE], "exp": now + 300, "iat": now}
    return {name: value for name, value in (valid | changes).items() if value is not None}


def token(key: SigningKey, *, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A token by `key`, right but for `changes` of claims and `header`."""
    return mint(key, claims(**changes), header=header)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask over the wire until it holds."""
    async with asyncio.timeout(WITHIN_S):
        while not await holds():
            continue


@asynccontextmanager
async def an_agent(address: str | None = None) -> AsyncIterator[FakeWorkloadApi]:
    """A Workload API; at the end, every call it heard is one it knows, with its header."""
    with tempfile.TemporaryDirectory(prefix="wl-") as room:
        async with FakeWorkloadApi(address or Path(room) / "agent.sock") as agent:
            yield agent
        check_calls(agent)


def check_calls(agent: FakeWorkloadApi) -> None:
    assert {call.method for call in agent.requests} <= CALLS
    assert all(call.metadata.get(HEADER[0]) == HEADER[1] for call in agent.requests)


@asynccontextmanager
async def a_harness(address: str) -> AsyncIterator[Harness]:
    async with Harness({"SPIFFE_ENDPOINT_SOCKET": address}) as harness:
        yield harness


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    """Both ready: the harness holds `OWN_ID` and the bundles of our trust domain."""
    ca, key = a_ca("a.test"), a_key(kid="main")
    async with an_agent() as agent:
        agent.push_x509(entry(ca.svid("/workload"), ca))
        agent.push_jwt_bundles({HOME: a_bundle(key.jwk())})
        async with a_harness(agent.address) as harness:
            await harness.ready()
            stage = Stage(
                ca=ca,
                x509=harness.x509_port,
                control=harness.control_port,
                agent=agent,
                harness=harness,
                key=key,
                told=[harness.identity.keeper.snapshot()],
            )
            harness.identity.keeper.tell(stage.told.append)
            yield stage
