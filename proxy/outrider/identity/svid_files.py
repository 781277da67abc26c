"""An SVID in PEM files as the source of our identity, in the layout of spiffe-helper.

Laws: the files count together or not at all; what cannot be read takes nothing away, and what is
held serves to its own end; one file holds one trust domain's authorities; another identity than
ours in the files ends ours, and is not taken.
"""

import asyncio
import binascii
import logging
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from spiffe import X509Bundle

from outrider.config.identity_settings import SvidFiles as SvidFilesSettings
from outrider.core.errors import ConfigError, is_panic
from outrider.core.ports import Clock
from outrider.identity.events import IdentityEvents
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.reasons import PeerRefusedError
from outrider.identity.snapshot import OwnSvid
from outrider.identity.workload_messages import AUTHORITIES_TOTAL
from outrider.identity.workload_stream import Pause
from outrider.identity.x509 import (
    CHAIN_LIMIT,
    SvidError,
    check_leaf,
    read_bundle,
    read_own_svid,
    split_der,
)

logger = logging.getLogger("outrider.identity")

LOOK_S: Final = 1.0
"""How often the files are looked at."""
_FILE_BYTES: Final = 1 << 20
_OTHERS: Final = 0o077
_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,64})-----([A-Za-z0-9+/=\s]*)-----END \1-----")
_Said = tuple[object, tuple[str, ...]]
"""The stamps of the files, and what is wrong with them."""
_KEY: Final = b"PRIVATE KEY"
_CERTIFICATE: Final = b"CERTIFICATE"


class FileFaultError(ConfigError):
    """A file that is not taken; the text names its setting and the remedy, never its content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """The files of one moment. `svid` is whoever's they are; `faults` are of other domains."""

    svid: OwnSvid
    bundles: Mapping[str, X509Bundle]
    faults: tuple[str, ...] = ()


class SvidFiles:
    """Keeps `keeper` as the files under `base` say. With `spiffe_id`, the SVID must be of it."""

    def __init__(  # noqa: PLR0913 - one keyword for each collaborator
        self,
        *,
        settings: SvidFilesSettings,
        base: Path,
        keeper: IdentityKeeper,
        clock: Clock,
        events: IdentityEvents,
        spiffe_id: str | None,
        pause: Pause = asyncio.sleep,
    ) -> None:
        directory = base / Path(settings.directory or "").expanduser()
        self._certificate = directory / settings.certificate
        self._key = directory / settings.key
        self._bundle = directory / settings.bundle
        self._federated = {name: directory / file for name, file in settings.federated.items()}
        self._keeper = keeper
        self._clock = clock
        self._events = events
        self._spiffe_id = spiffe_id
        self._pause = pause
        self._said: _Said = (None, ())
        self._unsettled: object = None

    def load(self) -> None:
        """Take the files for the start; blocking. Raises `ConfigError` naming the bad one."""
        stamps = self._stamps()
        read = self._sound()
        if read.faults:
            raise FileFaultError(read.faults[0])
        if self._spiffe_id not in (None, read.svid.spiffe_id.text):
            raise FileFaultError(
                "identity.files.certificate is of another SPIFFE ID than identity.spiffe_id"
            )
        self._said = (stamps, ())
        self._events.workload_update("x509", "applied")
        self._take(read)

    async def run(self) -> None:
        """Take what changes, for ever. Raises nothing but its own cancellation."""
        while True:
            await self._pause(LOOK_S)
            await self._look()

    # --- inside ---

    async def _look(self) -> None:
        stamps = await asyncio.to_thread(self._stamps)
        if self._said == (stamps, ()):
            self._keeper.connected(on=True)
            return
        # A fault may end without a change of the files, as that of a leaf not valid yet.
        try:
            read = await asyncio.to_thread(self._sound)
        except FileFaultError as fault:
            if stamps != self._unsettled:  # they may be half written: once more, then it is said
                self._unsettled = stamps
                return
            self._note("discarded", (stamps, (str(fault),)))
            self._keeper.connected(on=False)
            self._keeper.troubled(str(fault))
            return
        self._note("applied", (stamps, read.faults))
        self._take(read)
        self._keeper.troubled("; ".join(read.faults) or None)

    def _note(self, result: str, said: _Said) -> None:
        """Count and tell of what came of the files, once for each state of them."""
        if said == self._said:
            return
        self._said = said
        self._events.workload_update("x509", result)
        if said[1]:
            logger.warning(
                "an SVID in files is refused, whole or in part",
                extra={"event": "svid_files", "result": result, "fault": "; ".join(said[1])},
            )

    def _take(self, read: _Read) -> None:
        self._keeper.connected(on=True)
        if self._spiffe_id in (None, read.svid.spiffe_id.text):
            self._keeper.take_x509(
                read.svid, read.bundles, own_domain=read.svid.spiffe_id.trust_domain
            )
            return
        if self._keeper.own() is not None:
            logger.warning(
                "the SVID in files is of another SPIFFE ID than ours: we hold none",
                extra={"event": "svid_files"},
            )
        self._keeper.redact()

    def _stamps(self) -> tuple[tuple[int, ...] | None, ...]:
        return tuple(
            _stamp(path)
            for path in (
                self._certificate, self._key, self._bundle, *self._federated.values()
            )
        )  # fmt: skip

    def _sound(self) -> _Read:
        """As `_read`; whatever else is raised, by us or by an extension that panics, is a fault of
        the files."""
        try:
            return self._read()
        except FileFaultError:
            raise
        except BaseException as fault:
            if not isinstance(fault, Exception) and not is_panic(fault):
                raise
            raise FileFaultError("identity.files hold what could not be read") from None

    def _read(self) -> _Read:
        """The files as they are; blocking. Raises `FileFaultError`."""
        chain = _certificates("certificate", self._certificate)
        key = _key("key", self._key)
        own = _certificates("bundle", self._bundle)
        try:
            found = check_leaf(split_der(chain, limit=CHAIN_LIMIT)[0]).spiffe_id
        except (SvidError, PeerRefusedError) as fault:
            raise FileFaultError(f"identity.files.certificate is no SVID: {fault}") from None
        try:
            bundle = read_bundle(found.trust_domain, own)
        except SvidError as fault:
            raise FileFaultError(f"identity.files.bundle is not taken: {fault}") from None
        try:
            svid = read_own_svid(
                spiffe_id=found.text,
                chain=chain,
                key=key,
                bundle=bundle,
                hint="",
                now_unix_s=self._clock.unix_s(),
            )
        except SvidError as fault:
            raise FileFaultError(
                f"identity.files: certificate, key and bundle do not fit: {fault}"
            ) from None
        bundles, faults = self._others(found.trust_domain)
        held = (bundle, *bundles.values())
        if sum(len(one.x509_authorities) for one in held) > AUTHORITIES_TOTAL:
            raise FileFaultError(
                f"identity.files hold more than {AUTHORITIES_TOTAL} authorities in all"
            )
        return _Read(svid=svid, bundles=bundles | {found.trust_domain: bundle}, faults=faults)

    def _others(self, own: str) -> tuple[dict[str, X509Bundle], tuple[str, ...]]:
        """The bundles of other trust domains; one that cannot be read leaves its domain none."""
        bundles: dict[str, X509Bundle] = {}
        faults: list[str] = []
        for domain, path in self._federated.items():
            name = f"federated.{domain}"
            if domain == own:
                faults.append(f"identity.files.{name} is our own trust domain: leave it out")
                continue
            try:
                bundles[domain] = read_bundle(domain, _certificates(name, path))
            except SvidError as fault:
                faults.append(f"identity.files.{name} is not taken: {fault}")
            except FileFaultError as fault:
                faults.append(str(fault))
        return bundles, tuple(faults)


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_ino, seen.st_size, seen.st_mode


def _content(name: str, path: Path, *, private: bool = False) -> bytes:
    """What is in the regular file at `path`. Raises `FileFaultError`."""
    data: bytes | None = None
    try:
        # A pipe there would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISREG(mode):
                data = _all_of(descriptor)
        finally:
            os.close(descriptor)
    except OSError as fault:
        raise FileFaultError(
            f"identity.files.{name} cannot be read ({fault.strerror}): {path}"
        ) from None
    if data is None:
        raise FileFaultError(f"identity.files.{name} is no file: {path}")
    if private and mode & _OTHERS:
        raise FileFaultError(
            f"identity.files.{name} has mode {stat.S_IMODE(mode):04o}, so that others may read it; "
            f"give it 0600: {path}"
        )
    if len(data) > _FILE_BYTES:
        raise FileFaultError(f"identity.files.{name} is larger than {_FILE_BYTES} bytes: {path}")
    return data


def _all_of(descriptor: int) -> bytes:
    """What is behind `descriptor`, or one byte more than is taken."""
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(_FILE_BYTES + 1)


def _certificates(name: str, path: Path) -> bytes:
    """The DER of the certificates in `path`, in order and nothing else."""
    blocks = _blocks(name, path, _content(name, path))
    if not blocks or any(label != _CERTIFICATE for label, _ in blocks):
        raise FileFaultError(
            f"identity.files.{name} takes PEM blocks CERTIFICATE alone, at least one: {path}"
        )
    return b"".join(der for _, der in blocks)


def _key(name: str, path: Path) -> bytes:
    blocks = _blocks(name, path, _content(name, path, private=True))
    if len(blocks) != 1 or blocks[0][0] != _KEY:
        raise FileFaultError(
            f"identity.files.{name} takes one PEM block PRIVATE KEY (PKCS#8, not encrypted): {path}"
        )
    return blocks[0][1]


def _blocks(name: str, path: Path, data: bytes) -> list[tuple[bytes, bytes]]:
    """Label and DER of each PEM block."""
    found = _BLOCK.findall(data)
    if data.count(b"-----BEGIN ") != len(found):
        raise FileFaultError(f"identity.files.{name} holds a broken PEM block: {path}")
    try:
        return [
            (label, binascii.a2b_base64(b"".join(body.split()), strict_mode=True))
            for label, body in found
        ]
    except binascii.Error:
        raise FileFaultError(f"identity.files.{name} holds a broken PEM block: {path}") from None
