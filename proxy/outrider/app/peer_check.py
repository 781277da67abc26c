"""One handshake with a peer under our own SVID, told in words: `outrider identity check`.

Laws: nothing but the handshake is sent, and no connection outlives its check; every step has a
deadline; it counts as no traffic; what is only claimed by a certificate that was refused is marked
so; whether the peer is expected is asked after it is verified, so that the answer can name who it
is.
"""

import asyncio
import hashlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from outrider.app.identity import OwnIdentity
from outrider.app.identity_view import key_of
from outrider.app.peer_words import REFUSED_US, TIMEOUT, UNREACHABLE, words_of
from outrider.config.checks import split_url
from outrider.config.limit_settings import Limits
from outrider.config.load import Loaded
from outrider.config.settings import Settings
from outrider.config.upstream_settings import Upstream
from outrider.core.clock import rfc3339
from outrider.core.errors import ConfigError
from outrider.core.exchange import TlsPeer
from outrider.core.jsonvalue import Json, JsonObject
from outrider.identity._compat import verified_chain
from outrider.identity.events import Uncounted
from outrider.identity.reasons import HandshakeReason
from outrider.identity.spiffe_id import SpiffeIdError, parse_spiffe_id
from outrider.listening.sockets import let_go
from outrider.server.addresses import is_ambiguous_host, literal
from outrider.server.dns import system_lookup

PEER_CHARS: Final = 300
AT_ONCE: Final = 2
_DNS_S: Final = 2.0
_LISTEN_S: Final = 0.7
"""A TLS 1.3 server that does not take our certificate says so after the client's handshake is done
(IDENTITY §3.4): so long it is listened for."""
_SHUTDOWN_S: Final = 0.5
_SPARE_S: Final = 1.0
_SHOWN: Final = 256
_ADDRESSES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whom a check is of. `expect` is None where settings say nothing of it."""

    host: str
    port: int
    upstream: str | None = None
    expect: tuple[str, ...] | None = None


@dataclass(slots=True, kw_only=True)
class _Findings:
    """What came out, piece by piece."""

    reason: str = HandshakeReason.OK.value
    detail: str | None = None
    address: str | None = None
    tls: str | None = None
    peer: TlsPeer | None = None
    leaf: bytes | None = None
    chain: tuple[bytes, ...] = ()


class PeerCheck:
    """Dials peers for operators, a few at a time."""

    def __init__(self, identity: OwnIdentity, loaded: Callable[[], Loaded]) -> None:
        self._identity = identity
        self._loaded = loaded
        self._places = asyncio.Semaphore(AT_ONCE)

    async def check(self, peer: str) -> JsonObject:
        """What a handshake with `peer` came to: `host:port`, `https://host[:port]`, or an
        upstream's name. Raises `ConfigError` where there is nothing that could be checked."""
        if not self._identity.has_source:
            raise ConfigError(
                "identity.source is none: this sidecar holds no SVID to check a peer under; give "
                "workload_api or files"
            )
        place = place_of(peer, self._loaded())
        if self._places.locked():
            raise ConfigError(f"{AT_ONCE} checks are under way; try again in a moment")
        async with self._places:
            found = await self._find(place)
        return self._document(place, found)

    async def _find(self, place: Place) -> _Findings:
        found = _Findings()
        domains = sorted(self._identity.keeper.snapshot().anchors)
        if self._identity.keeper.own() is None or not domains:
            found.reason = HandshakeReason.NO_SVID.value
            return found
        # whoever can be verified is let in here: whether it is expected is asked by `_expected`
        context = self._identity.client_context(
            tuple(f"spiffe://{name}/*" for name in domains), events=Uncounted()
        )
        try:
            found.address, connected = await self._connected(place.host, place.port)
            await self._handshake(found, connected, context)
        except OSError as fault:
            # a refusal of ours is an OSError too: `HandshakeRefusedError`, with its reason
            reason = getattr(fault, "reason", None)
            if isinstance(reason, HandshakeReason):
                found.reason, found.detail = reason.value, fault.strerror
            elif found.address is None:
                found.reason, found.detail = UNREACHABLE, _why(fault)
            elif isinstance(fault, TimeoutError):
                found.reason = TIMEOUT
            else:
                found.reason = HandshakeReason.PROTOCOL.value
        if found.peer is None and found.address is not None and found.reason != TIMEOUT:
            found.leaf = await self._shown(found.address, place.port)
        elif found.peer is not None and found.reason == HandshakeReason.OK.value:
            found.reason = _expected(place, found.peer)
        return found

    async def _connected(self, host: str, port: int) -> tuple[str, socket.socket]:
        """The first address that takes a connection, and that. Raises `OSError`."""
        address = literal(host)
        if address is not None:
            names = [str(address)]
        else:
            async with asyncio.timeout(_DNS_S):
                names = await system_lookup(host, port)
        fault = OSError("the name has no address")
        for name in names[:_ADDRESSES]:
            family = socket.AF_INET6 if ":" in name else socket.AF_INET
            made = socket.socket(family, socket.SOCK_STREAM)
            made.setblocking(False)
            try:
                async with asyncio.timeout(self._limits.connect_s):
                    await asyncio.get_running_loop().sock_connect(made, (name, port))
            except OSError as failed:
                made.close()
                fault = failed
            except BaseException:
                made.close()
                raise
            else:
                return name, made
        raise fault

    async def _tls(
        self, connected: socket.socket, context: ssl.SSLContext
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """TLS over `connected`, which is closed where it fails. Raises `OSError`."""
        limit_s = self._limits.tls_s
        try:
            # The loop's own limit ends in an error like any other: ours says that it was time.
            async with asyncio.timeout(limit_s):
                return await asyncio.open_connection(
                    sock=connected,
                    ssl=context,
                    server_hostname="",
                    ssl_handshake_timeout=limit_s + _SPARE_S,
                    ssl_shutdown_timeout=_SHUTDOWN_S,
                )
        except BaseException:
            let_go(connected)
            raise

    async def _handshake(
        self, found: _Findings, connected: socket.socket, context: ssl.SSLContext
    ) -> None:
        """Raises `OSError`; fills `found` where the peer is verified."""
        reader, writer = await self._tls(connected, context)
        try:
            connection = writer.get_extra_info("ssl_object")
            found.tls = connection.version()
            found.peer = connection.spiffe_peer
            found.leaf = connection.getpeercert(True)
            found.chain = tuple(verified_chain(connection))
            if await _hangs_up(reader):
                found.reason = REFUSED_US
        finally:
            writer.transport.abort()

    async def _shown(self, address: str, port: int) -> bytes | None:
        """The certificate that a peer which was refused shows to whoever asks; None without one.

        Believed in nothing and sent nothing, not even our certificate: it is shown to a person.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            _, connected = await self._connected(address, port)
            _, writer = await self._tls(connected, context)
        except OSError:
            return None
        leaf: bytes | None = writer.get_extra_info("ssl_object").getpeercert(True)
        writer.transport.abort()
        return leaf

    @property
    def _limits(self) -> Limits:
        return self._loaded().settings.limits

    def _document(self, place: Place, found: _Findings) -> JsonObject:
        says, next_ = words_of(found.reason)
        shown = _certificate(found)
        domain = shown.get("trust_domain") if shown is not None else None
        own = self._identity.keeper.own()
        return {
            "peer": f"{place.host}:{place.port}",
            "upstream": place.upstream,
            "address": found.address,
            "ours": own.spiffe_id.text if own is not None else None,
            "accepted": found.reason == HandshakeReason.OK.value,
            "reason": found.reason,
            "detail": found.detail,
            "says": says,
            "next": next_,
            "tls": found.tls,
            "found": shown,
            "bundle_known": domain in self._identity.keeper.snapshot().anchors,
            "expected": [*place.expect] if place.expect is not None else None,
        }


def place_of(peer: str, loaded: Loaded) -> Place:
    """Whom `peer` names. Raises `ConfigError`."""
    upstream = loaded.settings.upstreams.get(peer)
    if upstream is not None:
        return _of_upstream(peer, upstream)
    url = (
        split_url(peer if "://" in peer else f"https://{peer}") if len(peer) <= PEER_CHARS else None
    )
    bare = url is not None and not (
        url.username or url.query or url.fragment or url.path.strip("/")
    )
    # a bare word is a name somebody mistyped sooner than a host on the usual port
    is_word = url is not None and url.port is None and "://" not in peer
    if (
        url is None
        or not bare
        or is_word
        or url.scheme != "https"
        or is_ambiguous_host(url.hostname or "")
    ):
        raise ConfigError(
            "give host:port, https://host:port or the name of an upstream, one of: "
            f"{', '.join(loaded.settings.upstreams) or '(none set)'}"
        )
    return _of_address(url.hostname or "", url.port or 443, loaded.settings)


def _of_address(host: str, port: int, settings: Settings) -> Place:
    """A place by its address; where upstreams are there, with whom they expect."""
    found: dict[str, tuple[str, ...]] = {}
    for name, upstream in settings.upstreams.items():
        url, spiffe = split_url(upstream.url), upstream.tls.spiffe
        if url is None or spiffe is None or (url.hostname, url.port or 443) != (host, port):
            continue
        found[name] = spiffe.expect
    if not found:
        return Place(host=host, port=port)
    expect = tuple(dict.fromkeys(one for names in found.values() for one in names))
    return Place(host=host, port=port, upstream=", ".join(found), expect=expect)


def _of_upstream(name: str, upstream: Upstream) -> Place:
    url = split_url(upstream.url)
    if url is None or url.scheme != "https":
        raise ConfigError(f"upstreams.{name}.url is not https: there is no peer to verify")
    spiffe = upstream.tls.spiffe
    if spiffe is None:
        raise ConfigError(
            f"upstreams.{name} is verified by its host name and CAs, not by a SPIFFE ID; set "
            f"upstreams.{name}.tls.spiffe.expect, or check it as host:port"
        )
    return Place(host=url.hostname or "", port=url.port or 443, upstream=name, expect=spiffe.expect)


def _expected(place: Place, peer: TlsPeer) -> str:
    from outrider.identity.tls import Expected  # noqa: PLC0415 - it costs memory without a source

    if place.expect is None or Expected(place.expect).covers(peer.spiffe_id):
        return HandshakeReason.OK.value
    return HandshakeReason.NOT_EXPECTED.value


async def _hangs_up(reader: asyncio.StreamReader) -> bool:
    """Whether the peer ends the connection at once, unasked."""
    try:
        async with asyncio.timeout(_LISTEN_S):
            return await reader.read(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def _why(fault: OSError) -> str:
    if isinstance(fault, TimeoutError):
        return "it did not answer in time"
    return fault.strerror or "the name cannot be resolved, or the connection failed"


def _certificate(found: _Findings) -> JsonObject | None:
    """What the peer's certificate says; `verified` says whether it is more than a claim."""
    from outrider.identity.x509 import UNREADABLE  # noqa: PLC0415 - as above

    if found.leaf is None:
        return None
    shown: JsonObject = {
        "verified": found.peer is not None,
        "leaf_sha256": hashlib.sha256(found.leaf).hexdigest(),
        "spiffe_id": None,
        "trust_domain": None,
    }
    if found.peer is not None:
        shown["spiffe_id"], shown["trust_domain"] = found.peer.spiffe_id, found.peer.trust_domain
        shown["chain_expires_at"] = rfc3339(found.peer.expires_unix_s)
    try:
        leaf = x509.load_der_x509_certificate(found.leaf)
        shown["not_before"] = rfc3339(leaf.not_valid_before_utc.timestamp())
        shown["expires_at"] = rfc3339(leaf.not_valid_after_utc.timestamp())
        shown["serial"] = format(leaf.serial_number, "x")
        shown["key"] = key_of(leaf)
        shown["chain"] = [_link(der) for der in found.chain]
        if found.peer is None:
            shown["spiffe_id"], shown["trust_domain"] = _claimed(leaf)
    except UNREADABLE:
        shown["unreadable"] = True
    return shown


def _link(der: bytes) -> Json:
    certificate = x509.load_der_x509_certificate(der)
    return {
        "sha256": hashlib.sha256(der).hexdigest(),
        "expires_at": rfc3339(certificate.not_valid_after_utc.timestamp()),
    }


def _claimed(leaf: x509.Certificate) -> tuple[str | None, str | None]:
    """The URI names of a certificate nobody vouches for, and their trust domain, if any."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None, None
    text = " ".join(names.get_values_for_type(x509.UniformResourceIdentifier))
    try:
        return text, parse_spiffe_id(text).trust_domain
    except SpiffeIdError:
        return text[:_SHOWN] or None, None
