"""Certificates made on the spot, and upstreams that speak TLS with them on loopback.

Names under `acme.test` resolve to 127.0.0.1 here and nowhere else.
"""

import asyncio
import ipaddress
import ssl
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self
from warnings import catch_warnings

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from outrider.config.limit_settings import Limits
from outrider.config.upstream_settings import Upstream
from outrider.core.clock import SystemClock
from outrider.core.errors import UpstreamUnavailableError
from outrider.server.dns import Resolver
from outrider.server.origin import origin_of, pool_limits
from outrider.server.pool import PoolParts, UpstreamPool
from outrider.server.wheel import Wheel
from tests.support.net import RecordingUpstream
from tests.support.peers import RecordingEvents, RunningPool

HOST: Final = "desk.acme.test"
SERVER: Final = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT: Final = ExtendedKeyUsageOID.CLIENT_AUTH
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def a_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _common(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate with its key and what a server sends along with it."""

    certificate: x509.Certificate
    key: Key
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def server(self, *, ciphers: str | None = None, **options: Any) -> ssl.SSLContext:
        """A server's context with this certificate; `options` are set on it as they are named."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if ciphers is not None:
            context.set_ciphers(ciphers)
        with catch_warnings(action="ignore", category=DeprecationWarning):  # versions of old
            for name, value in options.items():
                setattr(context, name, value)
        self.load_into(context)
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        key = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        sent = (self.certificate, *self.chain)
        with tempfile.TemporaryDirectory(prefix="outrider-") as room:
            file = Path(room) / "both.pem"
            file.write_bytes(
                key + b"".join(one.public_bytes(serialization.Encoding.PEM) for one in sent)
            )
            context.load_cert_chain(file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority(Issued):
    """A CA, or what would like to be one."""

    def issue(self, *names: str, **changes: Any) -> Issued:
        """A server's certificate for `names`, DNS or IP, below this one."""
        key = changes.pop("key", None) or a_key()
        return Issued(
            certificate=_leaf(names, key, self.certificate.subject, self.key, **changes),
            key=key,
            chain=self.sent(),
        )

    def below(self, **changes: Any) -> "Authority":
        """An intermediate CA; `changes` as for `an_authority`."""
        return an_authority(f"{_common(self.certificate)}, below", over=self, **changes)

    def revocations(self) -> bytes:
        """A list of what it revoked, which is nothing, as PEM."""
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now)
            .next_update(now + timedelta(days=1))
        )
        signed = builder.sign(self.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    def sent(self) -> tuple[x509.Certificate, ...]:
        """What stands between a leaf and the root: nothing where this is the root."""
        own = self.certificate
        return () if own.issuer == own.subject else (own, *self.chain)


def _signing(allowed: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=allowed,
        crl_sign=allowed,
        encipher_only=False,
        decipher_only=False,
    )


def an_authority(
    common: str = "Test CA",
    *,
    over: Authority | None = None,
    ca: bool = True,
    path_length: int | None = None,
    signs: bool = True,
    permitted: str | None = None,
) -> Authority:
    """A root, or what `over` made of one. Not `ca`: no CA; not `signs`: its key may not sign."""
    key = a_key()
    issuer = over.certificate.subject if over else _name(common)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(common))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
        .add_extension(_signing(signs), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if permitted is not None:
        names = x509.NameConstraints(
            permitted_subtrees=[x509.DNSName(permitted)], excluded_subtrees=None
        )
        builder = builder.add_extension(names, critical=True)
    signer = over.key if over else key
    return Authority(
        certificate=builder.sign(signer, hashes.SHA256()),
        key=key,
        chain=over.sent() if over else (),
    )


def self_signed(*names: str) -> Issued:
    key = a_key()
    return Issued(certificate=_leaf(names, key, _name("self"), key, common="self"), key=key)


def _leaf(
    names: Sequence[str],
    key: Key,
    issuer: x509.Name,
    signer: Key,
    *,
    common: str = "server",
    days: tuple[float, float] = (-1, 1),
    usages: Sequence[x509.ObjectIdentifier] = (SERVER,),
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(common))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general(name) for name in names]), critical=False
        )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _general(name: str) -> x509.GeneralName:
    """`name` as an IP SAN where it is an address; `dns:` before it makes it a DNS SAN anyway."""
    if name.startswith("dns:"):
        return x509.DNSName(name.removeprefix("dns:"))
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def listen_for_names(context: ssl.SSLContext) -> list[str | None]:
    """The server names that clients will ask `context` for, in order."""
    names: list[str | None] = []

    def told(_: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> None:
        names.append(name)

    context.sni_callback = told
    return names


# --- a server whose every TLS record is in the test's hands ---


@dataclass(slots=True)
class HandMade:
    """One connection of a client, its TLS done step by step."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    context: ssl.SSLContext
    came: bytearray
    """Every byte of this client, as it travelled."""
    _in: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO)
    _out: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO)
    _tls: ssl.SSLObject | None = None

    @property
    def tls(self) -> ssl.SSLObject:
        if self._tls is None:
            self._tls = self.context.wrap_bio(self._in, self._out, server_side=True)
        return self._tls

    async def hear(self) -> None:
        """Take in what the client sent. Raises `EOFError` at its end."""
        data = await self.reader.read(65_536)
        if not data:
            raise EOFError
        self.came += data
        self._in.write(data)

    async def flight(self) -> bytes:
        """The server's first flight, made but not sent."""
        while True:
            await self.hear()
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                if self._out.pending:
                    return self._out.read()

    async def handshake(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.flush()
                await self.hear()
            else:
                return await self.flush()

    async def request(self) -> bytes:
        """A request's head (and what came with it)."""
        data = b""
        while b"\r\n\r\n" not in data:
            try:
                data += self.tls.read(65_536)
            except ssl.SSLWantReadError:
                await self.hear()
        return data

    async def say(self, data: bytes) -> None:
        self.tls.write(data)
        await self.flush()

    async def close_notify(self) -> None:
        """Say that no more comes, and leave the connection open."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            await self.flush()

    async def flush(self) -> None:
        await self.put(self._out.read())

    async def put(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


@dataclass(slots=True)
class HandMadeUpstream(RecordingUpstream):
    """Plays `script` on every connection; the connection stays open until the client leaves it
    or the script ends it."""

    script: Any = None
    context: ssl.SSLContext | None = None
    came: list[bytearray] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        came = bytearray()
        self.came.append(came)
        assert self.context is not None
        turn = HandMade(reader=reader, writer=writer, context=self.context, came=came)
        try:
            await self.script(turn)
            while not writer.is_closing():
                await turn.hear()
        except (EOFError, ConnectionError, ssl.SSLError):
            pass
        finally:
            self.gone.set()
            writer.close()


# --- a pool that speaks TLS ---


async def acme_lookup(host: str, port: int) -> list[str]:
    """Names under acme.test are here; nothing else resolves."""
    if not host.endswith(".acme.test") or not port:
        raise OSError(host)
    return ["127.0.0.1"]


@dataclass(slots=True)
class Trust:
    """A CA and the file that names it."""

    authority: Authority
    file: Path

    @classmethod
    def made(cls, room: Path) -> Self:
        authority = an_authority()
        file = room / "ca.pem"
        file.write_bytes(authority.pem)
        return cls(authority=authority, file=file)


@asynccontextmanager
async def secure_pool(
    port: int,
    ca_file: Path | None,
    *,
    host: str = HOST,
    limits: Limits | None = None,
    **upstream: Any,
) -> AsyncIterator[RunningPool]:
    """A pool with one upstream, `crm`, at https://`host`:`port`."""
    clock = SystemClock()
    events = RecordingEvents()
    wheel = Wheel(clock=clock)
    values: dict[str, Any] = {
        "networks": ("127.0.0.0/8",),
        "ca_file": None if ca_file is None else str(ca_file),
    }
    origin = origin_of("crm", Upstream(url=f"https://{host}:{port}", **values | upstream))
    pool = UpstreamPool(
        origins=[origin],
        parts=PoolParts(
            limits=pool_limits(limits or Limits()),
            clock=clock,
            wheel=wheel,
            events=events,
            resolver=Resolver(clock=clock, lookup=acme_lookup),
        ),
    )
    try:
        yield RunningPool(pool=pool, origin=origin, events=events)
    finally:
        pool.close()
        wheel.close()
        await asyncio.sleep(0.01)


async def refused_by(pool: RunningPool) -> UpstreamUnavailableError:
    """Why one request got no connection."""
    try:
        await pool.send()
    except UpstreamUnavailableError as error:
        return error
    raise AssertionError("the request was sent")
