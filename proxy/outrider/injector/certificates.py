"""What the webhook shows in TLS, swapped whole while connections come in.

Laws: TLS 1.2 or newer, nothing is resumed; a certificate counts with its key or not at all, and
what cannot be used takes nothing away; a handshake under way ends with what it began with. Mounted
files are taken together, as the mount's `..data` link moves, so that no certificate meets the key
of another.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from outrider.core.errors import OutriderError
from outrider.core.secret import Secret
from outrider.identity._compat import key_file

logger = logging.getLogger("outrider.injector")

LOOK_S: Final = 1.0
"""How often the mount is looked at."""
_PART_BYTES: Final = 1 << 20
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2; 1.3 has its own."""
_ALPN: Final = ("http/1.1",)

Pause = Callable[[float], Awaitable[None]]


class CertificateError(OutriderError):
    """A certificate that is not taken; the text says why and holds nothing of it."""


class InjectorEvents(Protocol):
    """What the injector tells its metrics."""

    def admitted(self, outcome: str, reason: str, seconds: float) -> None: ...
    def certificate(self, *, until_unix_s: float, life_s: float) -> None: ...
    def ca_bundle(self, *, in_sync: bool) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One certificate as it is shown. `leaf` is its DER; `authorities` are PEM, where they are
    known; the instants are those of the leaf."""

    context: ssl.SSLContext
    leaf: bytes
    authorities: bytes | None
    from_unix_s: float
    until_unix_s: float


class ServedCertificate:
    """The certificate that new handshakes are done with: none before `take`."""

    def __init__(self, events: InjectorEvents) -> None:
        self._events = events
        self._shown: Shown | None = None
        self._front = _context()
        self._front.sni_callback = self._chosen

    @property
    def shown(self) -> Shown | None:
        return self._shown

    @property
    def context(self) -> ssl.SSLContext:
        """What a listener is made with, once; each handshake is then done with the newest."""
        return self._front

    def take(self, chain: bytes, key: Secret, authorities: bytes | None) -> None:
        """Show `chain` (PEM, leaf first) from the next handshake on.

        Raises `CertificateError` and changes nothing where chain and key cannot be used.
        """
        shown = _shown(chain, key, authorities)
        self._shown = shown
        self._events.certificate(
            until_unix_s=shown.until_unix_s, life_s=shown.until_unix_s - shown.from_unix_s
        )
        logger.info(
            "a certificate is shown from now on",
            extra={"event": "injector_certificate", "until_unix_s": shown.until_unix_s},
        )

    def _chosen(
        self, connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _front: ssl.SSLContext
    ) -> int | None:
        shown = self._shown
        if shown is None:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = shown.context
        return None


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(_ALPN)
    context.num_tickets = 0
    context.options |= (
        ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        | ssl.OP_CIPHER_SERVER_PREFERENCE
    )  # fmt: skip
    return context


def _shown(chain: bytes, key: Secret, authorities: bytes | None) -> Shown:
    try:
        leaf = x509.load_pem_x509_certificates(chain)[0]
        if authorities is not None:
            x509.load_pem_x509_certificates(authorities)
    except (ValueError, IndexError):
        raise CertificateError("tls.crt or ca.crt holds no certificate in PEM") from None
    context = _context()
    try:
        with key_file(chain.strip() + b"\n" + key.reveal(), on_disk=False) as path:
            context.load_cert_chain(path, password=b"")  # an encrypted key asks nobody
    except (ssl.SSLError, OSError, ValueError):
        raise CertificateError("tls.crt and tls.key do not fit, or cannot be used") from None
    return Shown(
        context=context,
        leaf=leaf.public_bytes(Encoding.DER),
        authorities=authorities,
        from_unix_s=leaf.not_valid_before_utc.timestamp(),
        until_unix_s=leaf.not_valid_after_utc.timestamp(),
    )


# --- mounted files (modes certManager and provided) ---


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    chain: bytes
    key: Secret
    authorities: bytes | None


class MountedFiles:
    """Keeps `served` as `tls.crt`, `tls.key` and `ca.crt` in `directory` say."""

    def __init__(
        self, directory: Path, served: ServedCertificate, *, pause: Pause = asyncio.sleep
    ) -> None:
        self._directory = directory
        self._served = served
        self._pause = pause
        self._taken: object = None
        self._told: object = None

    async def run(self) -> None:
        """Take the files, and what becomes of them, for ever. Raises nothing but its own
        cancellation: until there is a certificate the webhook is not ready, and says so."""
        while True:
            await self._look()
            await self._pause(LOOK_S)

    async def _look(self) -> None:
        stamp = await asyncio.to_thread(_stamp, self._directory)
        if stamp == self._taken and stamp is not None:
            return
        try:
            files = await asyncio.to_thread(_read, self._directory)
            self._served.take(files.chain, files.key, files.authorities)
        except CertificateError as fault:
            if (stamp, str(fault)) != self._told:  # once for each state of the files
                self._told = (stamp, str(fault))
                logger.warning(
                    "the certificate's files are not taken",
                    extra={"event": "injector_certificate", "fault": str(fault)},
                )
            return
        self._taken = stamp


def _stamp(directory: Path) -> object:
    """What moves when the files do: the mount's link, else the files themselves."""
    try:
        return str((directory / "..data").readlink())
    except OSError:
        pass
    found: list[object] = []
    for name in ("tls.crt", "tls.key", "ca.crt"):
        try:
            seen = (directory / name).stat()
        except OSError:
            found.append(None)
        else:
            found.append((seen.st_mtime_ns, seen.st_ino, seen.st_size))
    return tuple(found)


def _read(directory: Path) -> _Files:
    # The link is followed once: the files of one generation, whatever moves meanwhile.
    room = directory / "..data"
    room = room.resolve() if room.is_dir() else directory
    chain, key = _content(room / "tls.crt"), _content(room / "tls.key")
    try:
        authorities = _content(room / "ca.crt")
    except CertificateError:
        authorities = b""
    return _Files(chain=chain, key=Secret(key), authorities=authorities.strip() or None)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_PART_BYTES + 1)
    except OSError as fault:
        raise CertificateError(f"{path.name} cannot be read ({fault.strerror})") from None
    if len(data) > _PART_BYTES:
        raise CertificateError(f"{path.name} is larger than {_PART_BYTES} bytes")
    return data
