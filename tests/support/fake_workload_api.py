"""A SPIFFE Workload API to be told what to say: SVIDs, bundles, refusals, silence.

It runs in the test's own loop (`async with FakeWorkloadApi(path) as agent`), or as a process that
gives identities to others, from files that are read again when they change:

    python -m tests.support.fake_workload_api --socket /run/x/agent.sock --directory DIR

DIR holds `svid.pem`, `svid_key.pem`, `svid_bundle.pem` and any `federated.<trust domain>.pem`;
`jwt.<trust domain>.json` are JWT bundles; a file `deny` withdraws every identity. Its first line on
stdout is `READY` and its address. `tests.support.svid_directory` writes such a directory.
"""

import argparse
import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from outrider.identity import workload_proto as proto
from tests.support.spiffe_ca import Ca

logging.getLogger("grpc").setLevel(logging.CRITICAL)
# gRPC ends its poller with the last of its objects and waits for it, in whatever frame the
# collector runs: one that is kept for ever keeps that wait out of a loop of ours.
grpc.aio.init_grpc_aio()


@dataclass(frozen=True, slots=True, kw_only=True)
class SvidEntry:
    """One X.509-SVID as the API gives it: DER certificates concatenated, PKCS#8 key in DER, DER
    authorities concatenated."""

    spiffe_id: str
    chain: bytes
    key: bytes = field(repr=False)
    bundle: bytes
    hint: str = ""


@dataclass(slots=True)
class Request:
    """One call that came in. `status` is None while it is open."""

    method: str
    metadata: dict[str, str | bytes]
    body: bytes
    status: grpc.StatusCode | None = None


def an_entry(ca: Ca, path: str = "/planner", *, hint: str = "", **changes: Any) -> SvidEntry:
    """A new SVID by `ca`, as an agent gives it; `changes` as for `spiffe_ca.a_leaf`."""
    svid = ca.svid(path, **changes)
    return SvidEntry(
        spiffe_id=f"spiffe://{ca.trust_domain}{path}",
        chain=svid.chain_der,
        key=svid.key_der,
        bundle=ca.root.der,
        hint=hint,
    )


Minted = Sequence[tuple[str, str]]
Mint = Callable[[tuple[str, ...], str], Minted]
"""(audience, SPIFFE ID asked for) -> (SPIFFE ID, token) of each JWT-SVID."""


class _Ended(Exception):  # noqa: N818 - no error: a stream's end
    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__(code)
        self.code = code


class _Topic:
    """What one stream says now, and the streams that hear it."""

    def __init__(self) -> None:
        self.says: bytes | _Ended | None = None
        self.open: set[asyncio.Queue[bytes | _Ended]] = set()

    def put(self, said: bytes | _Ended) -> None:
        self.says = said
        self.tell(said)

    def tell(self, said: bytes | _Ended) -> None:
        for queue in self.open:
            queue.put_nowait(said)


class FakeWorkloadApi:
    """An agent at `address`: a Unix socket's path, or `tcp://127.0.0.1:0`.

    Until something is pushed its streams stay open and silent. What was pushed last is what a new
    stream hears first. `requests` are all calls in the order they came.
    """

    def __init__(self, address: str | Path) -> None:
        self._address = str(address)
        self._server: Any = None
        self._topics = {proto.FETCH_X509_SVID: _Topic(), proto.FETCH_JWT_BUNDLES: _Topic()}
        self._happened = asyncio.Event()
        self.requests: list[Request] = []
        self.mint: Mint | grpc.StatusCode = grpc.StatusCode.PERMISSION_DENIED
        self.target = ""

    # --- life ---

    async def start(self) -> None:
        """Serve; also again after `stop`."""
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((_Handlers(self),))
        if self._address.startswith("tcp://"):
            port = self._server.add_insecure_port(self._address.removeprefix("tcp://"))
            self.target = f"127.0.0.1:{port}"
            self._address = f"tcp://{self.target}"
        else:
            self.target = f"unix:{self._address}"
            self._server.add_insecure_port(self.target)
        await self._server.start()

    async def stop(self) -> None:
        """End every stream at once with UNAVAILABLE, as of an agent that died, and close the
        socket."""
        if self._server is not None:
            server, self._server = self._server, None
            self.end_streams(grpc.StatusCode.UNAVAILABLE)
            await server.stop(1.0)

    @property
    def address(self) -> str:
        """As `SPIFFE_ENDPOINT_SOCKET` names it."""
        return self._address if self._address.startswith("tcp://") else f"unix://{self._address}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    # --- what it says ---

    def push_x509(
        self,
        *entries: SvidEntry,
        federated: Mapping[str, bytes] | None = None,
        crl: Sequence[bytes] = (),
    ) -> None:
        """`federated`: trust domain's SPIFFE ID (`spiffe://b.test`) -> DER authorities."""
        svids = [
            {
                "spiffe_id": entry.spiffe_id,
                "x509_svid": entry.chain,
                "x509_svid_key": entry.key,
                "bundle": entry.bundle,
                "hint": entry.hint,
            }
            for entry in entries
        ]
        self.push_raw(
            proto.FETCH_X509_SVID,
            proto.encoded(
                "X509SVIDResponse", svids=svids, crl=list(crl), federated_bundles=federated or {}
            ),
        )

    def push_jwt_bundles(self, bundles: Mapping[str, bytes]) -> None:
        """Trust domain's SPIFFE ID -> JWKS document."""
        self.push_raw(
            proto.FETCH_JWT_BUNDLES, proto.encoded("JWTBundlesResponse", bundles=dict(bundles))
        )

    def push_raw(self, method: str, message: bytes) -> None:
        """Any bytes as the message of a stream."""
        self._topics[method].put(message)

    def deny(
        self,
        code: grpc.StatusCode = grpc.StatusCode.PERMISSION_DENIED,
        *,
        method: str | None = None,
    ) -> None:
        """End the open streams with `code`, and new ones at once, until something is pushed."""
        for name, topic in self._topics.items():
            if method in (None, name):
                topic.put(_Ended(code))

    def end_streams(self, code: grpc.StatusCode = grpc.StatusCode.OK) -> None:
        """End the open streams; new ones hear what was pushed last."""
        for topic in self._topics.values():
            topic.tell(_Ended(code))

    # --- what it saw ---

    def opened(self, method: str) -> int:
        """How often this method was called so far."""
        return sum(1 for request in self.requests if request.method == method)

    def open_streams(self, method: str) -> int:
        """How many streams of this method are open now."""
        return len(self._topics[method].open)

    async def wait_until(self, holds: Callable[[], bool], *, within_s: float = 10.0) -> None:
        """Wait until `holds`, asked again at every call, its end, and every tenth of a second."""
        async with asyncio.timeout(within_s):
            while not holds():
                self._happened.clear()
                try:
                    async with asyncio.timeout(0.1):
                        await self._happened.wait()
                except TimeoutError:
                    continue

    # --- calls ---

    async def stream(self, method: str, body: bytes, context: Any) -> AsyncIterator[bytes]:
        seen = self._seen(method, body, context)
        topic = self._topics[method]
        queue: asyncio.Queue[bytes | _Ended] = asyncio.Queue()
        if topic.says is not None:
            queue.put_nowait(topic.says)
        topic.open.add(queue)
        try:
            await self._admit(seen, context)
            while True:
                said = await queue.get()
                if not isinstance(said, _Ended):
                    yield said
                elif said.code is grpc.StatusCode.OK:
                    seen.status = said.code
                    return
                else:
                    seen.status = said.code
                    await context.abort(said.code, "told to")
        finally:
            seen.status = seen.status or grpc.StatusCode.CANCELLED
            topic.open.discard(queue)
            self._happened.set()

    async def jwt_svid(self, method: str, body: bytes, context: Any) -> bytes:
        seen = self._seen(method, body, context)
        await self._admit(seen, context)
        mint = self.mint
        if isinstance(mint, grpc.StatusCode):
            seen.status = mint
            await context.abort(mint, "told to")
            return b""
        request = proto.decoded("JWTSVIDRequest", body)
        minted = mint(tuple(request.audience), request.spiffe_id)
        seen.status = grpc.StatusCode.OK
        self._happened.set()
        svids = [{"spiffe_id": spiffe_id, "svid": token} for spiffe_id, token in minted]
        return proto.encoded("JWTSVIDResponse", svids=svids)

    def unknown(self, method: str, metadata: Any) -> None:
        """A call of something it has not; gRPC answers it."""
        code = grpc.StatusCode.UNIMPLEMENTED
        seen = Request(method=method, metadata=dict(metadata or ()), body=b"", status=code)
        self.requests.append(seen)
        self._happened.set()

    def _seen(self, method: str, body: bytes, context: Any) -> Request:
        metadata = dict(context.invocation_metadata() or ())
        seen = Request(method=method, metadata=metadata, body=body)
        self.requests.append(seen)
        self._happened.set()
        return seen

    @staticmethod
    async def _admit(seen: Request, context: Any) -> None:
        name, value = proto.SECURITY_HEADER
        if seen.metadata.get(name) != value:
            seen.status = grpc.StatusCode.INVALID_ARGUMENT
            await context.abort(seen.status, "security header missing from request")


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Bytes in, bytes out: what is malformed is up to the test."""

    def __init__(self, agent: FakeWorkloadApi) -> None:
        self._agent = agent

    def service(self, details: Any) -> Any:
        method = details.method
        if method == proto.FETCH_JWT_SVID:

            async def unary(body: bytes, context: Any) -> bytes:
                return await self._agent.jwt_svid(method, body, context)

            return grpc.unary_unary_rpc_method_handler(unary)
        if method in (proto.FETCH_X509_SVID, proto.FETCH_JWT_BUNDLES):

            async def stream(body: bytes, context: Any) -> AsyncIterator[bytes]:
                async for message in self._agent.stream(method, body, context):
                    yield message

            return grpc.unary_stream_rpc_method_handler(stream)
        self._agent.unknown(method, details.invocation_metadata)
        return None


# --- from files ---


def entry_of(directory: Path) -> SvidEntry:
    """The SVID in `directory`, in the layout of spiffe-helper."""
    chain = x509.load_pem_x509_certificates((directory / "svid.pem").read_bytes())
    key = load_pem_private_key((directory / "svid_key.pem").read_bytes(), None)
    names = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return SvidEntry(
        spiffe_id=names.get_values_for_type(x509.UniformResourceIdentifier)[0],
        chain=b"".join(each.public_bytes(Encoding.DER) for each in chain),
        key=key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        bundle=_authorities(directory / "svid_bundle.pem"),
    )


def tell_from(agent: FakeWorkloadApi, directory: Path) -> None:
    """Say what `directory` holds."""
    if (directory / "deny").exists():
        agent.deny()
        return
    federated = {
        "spiffe://" + path.name.removeprefix("federated.").removesuffix(".pem"): _authorities(path)
        for path in sorted(directory.glob("federated.*.pem"))
    }
    agent.push_x509(entry_of(directory), federated=federated)
    bundles = {
        "spiffe://" + path.name.removeprefix("jwt.").removesuffix(".json"): path.read_bytes()
        for path in sorted(directory.glob("jwt.*.json"))
    }
    if bundles:
        agent.push_jwt_bundles(bundles)


def _authorities(path: Path) -> bytes:
    found = x509.load_pem_x509_certificates(path.read_bytes())
    return b"".join(each.public_bytes(Encoding.DER) for each in found)


def _stamps(directory: Path) -> list[tuple[str, int, int]]:
    return sorted(
        (path.name, seen.st_mtime_ns, seen.st_ino)
        for path in directory.iterdir()
        for seen in (path.stat(),)
    )


async def _serve(address: str, directory: Path) -> None:
    async with FakeWorkloadApi(address) as agent:
        told: list[tuple[str, int, int]] = []
        ready = False
        while True:
            stamps = _stamps(directory)
            if stamps != told:
                try:
                    tell_from(agent, directory)
                    told = stamps
                except (OSError, ValueError):  # files half written: looked at again
                    told = []
            if not ready:
                print(f"READY {agent.address}", flush=True)
                ready = True
            await asyncio.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", required=True, help="path, or tcp://127.0.0.1:PORT")
    parser.add_argument("--directory", required=True, type=Path)
    args = parser.parse_args()
    asyncio.run(_serve(args.socket, args.directory))


if __name__ == "__main__":
    main()
