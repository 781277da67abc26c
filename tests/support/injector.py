"""The injector's surroundings: what it tells, mounted certificates, time moved by hand."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from outrider.config.injector import Webhook as WebhookSettings
from outrider.core.clock import SystemClock
from outrider.core.secret import Secret
from outrider.injector.certificates import ServedCertificate
from outrider.injector.server import Judge, Parts, Webhook
from outrider.server.jobs import Jobs
from tests.support.tls import Authority, Issued, an_authority

SERVICE: Final = "outrider-injector.outrider-system.svc"


@dataclass(slots=True)
class RecordingInjectorEvents:
    admitted_as: list[tuple[str, str]] = field(default_factory=list)
    shown: list[tuple[float, float]] = field(default_factory=list)
    in_sync: list[bool] = field(default_factory=list)

    def admitted(self, outcome: str, reason: str, seconds: float) -> None:
        assert seconds >= 0
        self.admitted_as.append((outcome, reason))

    def certificate(self, *, until_unix_s: float, life_s: float) -> None:
        self.shown.append((until_unix_s, life_s))

    def ca_bundle(self, *, in_sync: bool) -> None:
        self.in_sync.append(in_sync)


@dataclass(slots=True)
class HandClock:
    """Time that the test moves; the wall clock began at `began_unix_s`."""

    began_unix_s: float = 1_800_000_000.0
    now_s: float = 0.0
    ahead_s: float = 0.0
    """By how much the wall clock is wrong."""

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_s(self) -> float:
        return self.began_unix_s + self.now_s + self.ahead_s


def key_of(issued: Issued) -> bytes:
    return issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def der_of(issued: Issued) -> bytes:
    return issued.certificate.public_bytes(Encoding.DER)


def is_signed_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


class Mount:
    """A folder as the kubelet mounts a Secret: `..data` leads to one generation."""

    def __init__(self, room: Path) -> None:
        self.room = room
        self._count = 0

    def write(self, issued: Issued, *, key: bytes | None = None, ca: bytes | None = None) -> None:
        self._count += 1
        generation = self.room / f"..2026_{self._count}"
        generation.mkdir()
        (generation / "tls.crt").write_bytes(issued.pem)
        (generation / "tls.key").write_bytes(key or key_of(issued))
        if ca is not None:
            (generation / "ca.crt").write_bytes(ca)
        link = self.room / "..data_tmp"
        link.symlink_to(generation.name)
        link.replace(self.room / "..data")
        for name in ("tls.crt", "tls.key", "ca.crt"):
            if not (self.room / name).is_symlink():
                (self.room / name).symlink_to(f"..data/{name}")


# --- a webhook that listens ---


@dataclass(slots=True, kw_only=True)
class Listening:
    """A webhook on loopback, its certificate and how an API server verifies it."""

    webhook: Webhook
    served: ServedCertificate
    events: RecordingInjectorEvents
    authority: Authority

    @property
    def port(self) -> int:
        return self.webhook.addresses[0][1]

    @property
    def client(self) -> ssl.SSLContext:
        return trusting(self.authority.pem)

    def renew(self) -> Issued:
        """Show another certificate of the same CA."""
        issued = self.authority.issue(SERVICE)
        self.served.take(issued.pem, Secret(key_of(issued)), self.authority.pem)
        return issued


def trusting(authorities: bytes) -> ssl.SSLContext:
    """As the API server verifies: whatever CA is in the bundle is a root."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authorities.decode("ascii"))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


@asynccontextmanager
async def a_webhook(judge: Judge, **settings: Any) -> AsyncIterator[Listening]:
    """A webhook that listens and shows a certificate; `settings` are of its listener."""
    events = RecordingInjectorEvents()
    served = ServedCertificate(events)
    options: dict[str, Any] = {"addresses": ("127.0.0.1:0",), "grace_s": 1.0}
    stack = AsyncExitStack()
    jobs = await stack.enter_async_context(Jobs())
    webhook = Webhook(
        Parts(
            settings=WebhookSettings(**options | settings),
            judge=judge,
            context=served.context,
            jobs=jobs,
            events=events,
            clock=SystemClock(),
        )
    )
    listening = Listening(webhook=webhook, served=served, events=events, authority=an_authority())
    listening.renew()
    try:
        await webhook.start()
        yield listening
    finally:
        await webhook.stop()
        await stack.aclose()  # what the test raised is told as it is, in no group
        await asyncio.sleep(0.01)


@asynccontextmanager
async def calling(
    port: int, tls: ssl.SSLContext
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection of an API server's, by the Service's name."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=tls, server_hostname=SERVICE
    )
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def until(holds: Callable[[], bool]) -> None:
    """Return once `holds`, which nothing tells of; raises `TimeoutError` where it never does."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - it is another's state
            await asyncio.sleep(0.005)


def a_request(
    body: bytes, path: str = "/mutate/namespace?timeout=5s", *fields: str, method: str = "POST"
) -> bytes:
    head = [
        f"{method} {path} HTTP/1.1",
        f"Host: {SERVICE}:443",
        f"Content-Length: {len(body)}",
        *(fields or ("Content-Type: application/json",)),
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def a_pod(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "agent-", "labels": {"app": "agent"}},
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": {"runAsUser": 1000},
            "containers": [{"name": "agent", "image": "registry.acme.test/agent:1"}],
            **spec,
        },
    }


def a_review(pod: dict[str, Any] | None = None, *, uid: str = "uid-1") -> bytes:
    """A review of a new pod, as an API server sends it."""
    pods = {"group": "", "version": "v1", "resource": "pods"}
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    return orjson.dumps(
        {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": uid,
                "kind": kind,
                "resource": pods,
                "requestKind": kind,
                "requestResource": pods,
                "namespace": "agents",
                "operation": "CREATE",
                "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
                "object": pod or a_pod(),
                "oldObject": None,
                "dryRun": False,
                "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
            },
        }
    )
