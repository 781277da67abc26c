"""TLS between SPIFFE identities, with the standard library alone (IDENTITY §3).

Laws: 1.3 only, nothing is resumed, the other end always shows a certificate; it is judged inside
the handshake, so a connection that exists has a verified peer; its authority belongs to its own
trust domain and to no other; whatever goes wrong is an `ssl.SSLError` with a closed reason, counted
and logged once, without a word of the other end's; one context serves one generation of trust.
"""

import asyncio
import logging
import math
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NoReturn, Self, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from outrider.core.errors import is_panic
from outrider.core.exchange import TlsPeer
from outrider.core.ports import Clock
from outrider.identity._compat import key_file, verified_chain
from outrider.identity.anchors import fingerprint
from outrider.identity.events import IdentityEvents
from outrider.identity.judge import Expected, HandshakeRefusedError, Judge
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.reasons import HandshakeReason, PeerRefusedError, Role
from outrider.identity.rehearsal import load_authorities, loads_authorities
from outrider.identity.snapshot import OwnSvid, Snapshot
from outrider.identity.x509 import UNREADABLE, pem_of

__all__ = [
    "Expected",
    "HandshakeRefusedError",
    "RotatingContext",
    "SpiffeSSLObject",
    "client_context",
    "server_context",
]

logger = logging.getLogger("outrider.identity")

_ALPN: Final = ("http/1.1",)
HANDSHAKE_BYTES: Final = 32_768
"""What the other end may send until its handshake is done; every certificate it shows costs us."""
_INLINE_AUTHORITIES: Final = 64
"""A context of up to so many is made on the loop, in about 15 ms; a larger one beside it."""
_AGAIN_S: Final = 5.0
"""After this long a context is tried again for which the machine lacked something."""


class SpiffeSSLObject(ssl.SSLObject):
    """A connection whose other end is verified, or which does not come to be.

    `__init__` never runs, so fields are class attributes until they are set.
    """

    spiffe_peer: TlsPeer | None = None
    """Who is at the other end; set before the handshake ends."""
    incoming: ssl.MemoryBIO
    """Where what comes is read from; set by whoever makes the connection."""
    room: int = HANDSHAKE_BYTES
    """Bytes that its handshake is still given."""

    def do_handshake(self) -> None:
        if self.spiffe_peer is not None:
            return
        context = cast("_Context", self.context)
        judge = context.judge
        try:
            context.check()
            self._shake()
            self.spiffe_peer = judge.peer(verified_chain(self))
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except BaseException as fault:
            if not isinstance(fault, Exception) and not is_panic(fault):
                raise
            raise judge.refusal(fault) from None
        judge.took()

    def _shake(self) -> None:
        """OpenSSL's part, which sees no more than there is room for. What came in one piece with
        the end of a handshake is given back behind it."""
        held = self._held_back()
        try:
            super().do_handshake()
        except ssl.SSLWantReadError:
            if held:
                raise PeerRefusedError(
                    HandshakeReason.PROTOCOL, "more bytes than a handshake is given"
                ) from None
            raise
        if held:
            self.incoming.write(held)

    def _held_back(self) -> bytes:
        """Take from what came all that there is no room for."""
        came = self.incoming.pending
        if came <= self.room:
            self.room -= came
            return b""
        data, room = self.incoming.read(), self.room
        self.room = 0
        self.incoming.write(data[:room])
        return data[room:]


# --- contexts ---


class _Context(ssl.SSLContext):
    """What connections of one generation are made with."""

    judge: Judge
    refuses: PeerRefusedError | None = None
    """Set where no handshake may even begin."""
    generation: int = -1
    again_s: float = math.inf
    """When (monotonic) it is worth while to make another of the same generation."""
    own: OwnSvid | None = None
    """Whose key it holds."""

    def stands_in(self, own: OwnSvid, now_unix_s: float) -> bool:
        """Whether it may serve while that of the next generation is made. Each peer is judged by
        what holds at the handshake's end, so that nothing withdrawn is taken by it."""
        held = self.own
        return (
            held is not None
            and held.spiffe_id == own.spiffe_id
            and now_unix_s < held.expires_unix_s
        )

    def check(self) -> None:
        """Raises why no handshake may begin."""
        if self.refuses is not None:
            raise self.refuses


class RotatingContext(ssl.SSLContext):
    """The one context a listener or connector is handed: each connection gets a context of the
    trust and identity that hold when it begins. Nothing set on this one reaches those.

    Without a valid SVID of our own the handshake is refused before a byte, with `no_svid`. Where no
    context can be made, that is remembered for the generation, and the keeper told.
    """

    _make: "_Maker"
    _made: _Context | None
    _idle: _Context | None
    """Refuses for want of an SVID."""
    _coming: int | None
    """The generation whose context is being made beside the loop."""

    def __new__(cls, maker: "_Maker") -> Self:
        self = super().__new__(cls, _protocol(maker.role))
        self._make = maker
        self._made = self._idle = self._coming = None
        return self

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """A connection under what holds now. `session` is ignored: nothing is resumed."""
        _ = session
        name = server_hostname or None
        try:
            made = self._current().wrap_bio(
                incoming, outgoing, server_side=server_side, server_hostname=name
            )
        except ValueError:
            why = PeerRefusedError(HandshakeReason.INTERNAL, "a name that TLS cannot ask for")
            made = self._make.refusing(why).wrap_bio(incoming, outgoing, server_side=server_side)
        cast("SpiffeSSLObject", made).incoming = incoming
        return made

    def wrap_socket(self, *_: object, **__: object) -> NoReturn:
        """Never: a blocking socket would not be judged."""
        raise ssl.SSLError(1, "this context is for event loops only")

    def _current(self) -> _Context:
        """The context of the current generation, made when it is first asked for: where that takes
        long, beside the loop, and the one before stands in."""
        maker = self._make
        snapshot, own = maker.keeper.snapshot(), maker.keeper.own()
        if own is None:
            self._made = None
            self._idle = self._idle or maker.refusing(
                PeerRefusedError(HandshakeReason.NO_SVID, "we hold no valid SVID")
            )
            return self._idle
        made = self._made
        if made is not None and made.generation == snapshot.generation:
            if maker.clock.monotonic_s() < made.again_s:
                return made
        elif (
            made is not None
            and made.stands_in(own, maker.clock.unix_s())
            and sum(map(len, snapshot.anchors.values())) > _INLINE_AUTHORITIES
            and self._prepare(snapshot, own)
        ):
            return made
        self._made = None
        self._made = maker.made(snapshot, own)
        return self._made

    def _prepare(self, snapshot: Snapshot, own: OwnSvid) -> bool:
        """Have the context of `snapshot` made beside the loop; False where no loop runs."""
        if self._coming is not None:
            return True
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        self._coming = snapshot.generation
        making = loop.run_in_executor(None, self._make.context, snapshot, own)
        making.add_done_callback(self._prepared)
        return True

    def _prepared(self, making: "asyncio.Future[_Context]") -> None:
        """Take what was made, if only to stand in for another; where nothing was, the next who asks
        tries it on the loop, and has the failure told."""
        made, generation, self._coming = self._made, self._coming, None
        if made is None or generation is None or generation <= made.generation:
            return  # our SVID was taken away meanwhile, or is another
        failed = making.cancelled() or making.exception() is not None
        self._made = None if failed else making.result()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Maker:
    role: Role
    keeper: IdentityKeeper
    events: IdentityEvents
    clock: Clock
    expect: Expected | None
    alpn: tuple[str, ...]
    keys_on_disk: bool

    def made(self, snapshot: Snapshot, own: OwnSvid) -> _Context:
        """The context of this generation, or one that refuses where none can be made."""
        try:
            context = self.context(snapshot, own)
        except (OSError, *UNREADABLE) as fault:
            self.keeper.unusable("no TLS context can be made of our SVID and its bundle")
            logger.error(  # noqa: TRY400 - a traceback would show paths, and says no more
                "no TLS context can be made, so every handshake is refused",
                extra={
                    "event": "tls_context",
                    "role": self.role.value,
                    "kind": type(fault).__name__,
                },
            )
            context = self.refusing(
                PeerRefusedError(HandshakeReason.INTERNAL, "no context could be made")
            )
            context.generation = snapshot.generation
            if isinstance(fault, OSError) and not isinstance(fault, ssl.SSLError):
                context.again_s = self.clock.monotonic_s() + _AGAIN_S
            return context
        self.keeper.unusable(None)
        return context

    def context(self, snapshot: Snapshot, own: OwnSvid) -> _Context:
        """Raises `OSError` (`ssl.SSLError`) or one of `UNREADABLE` for material that OpenSSL
        cannot use. What it cannot use of another trust domain is left out, with that domain."""
        authorities, ours = _authorities(snapshot), own.spiffe_id.trust_domain
        context = self._bare(snapshot, authorities)
        if not load_authorities(context, _ders(authorities, ours)):
            authorities = _loadable(authorities)
            if ours in snapshot.x509 and ours not in authorities:
                raise ssl.SSLError(1, "our own trust domain's authorities cannot be loaded")
            context = self._bare(snapshot, authorities)
            if not load_authorities(context, _ders(authorities, ours)):
                raise ssl.SSLError(1, "authorities that load alone cannot be loaded together")
        context.set_alpn_protocols(list(self.alpn))
        with key_file(
            pem_of(own.svid.private_key, own.svid.cert_chain), on_disk=self.keys_on_disk
        ) as path:
            context.load_cert_chain(path)
        context.own = own
        return context

    def refusing(self, why: PeerRefusedError) -> _Context:
        """A context without a key, whose every handshake is refused before it begins.

        Raising where a connection is wrapped would leave its socket to no one.
        """
        context = self._bare(Snapshot(), {})
        context.refuses = why
        return context

    def _bare(
        self, snapshot: Snapshot, authorities: Mapping[str, tuple[x509.Certificate, ...]]
    ) -> _Context:
        context = _Context(_protocol(self.role))
        context.check_hostname = False  # the name is the SPIFFE ID
        context.verify_mode = ssl.CERT_REQUIRED
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an intermediate may be an authority
        if self.role is Role.SERVER:
            context.num_tickets = 0
        context.sslobject_class = SpiffeSSLObject
        context.generation = snapshot.generation
        context.judge = Judge(
            role=self.role,
            events=self.events,
            clock=self.clock,
            expect=self.expect,
            snapshot=snapshot,
            current=self.keeper.snapshot,
            authorities=authorities,
        )
        return context


def _protocol(role: Role) -> ssl._SSLMethod:
    return ssl.PROTOCOL_TLS_SERVER if role is Role.SERVER else ssl.PROTOCOL_TLS_CLIENT


def _authorities(snapshot: Snapshot) -> dict[str, tuple[x509.Certificate, ...]]:
    """Of each trust domain, the authorities that were not dropped."""
    return {
        domain: tuple(
            one
            for one in bundle.x509_authorities
            if fingerprint(one) in snapshot.anchors.get(domain, ())
        )
        for domain, bundle in snapshot.x509.items()
    }


def _ders(authorities: Mapping[str, tuple[x509.Certificate, ...]], ours: str) -> list[bytes]:
    """In the order they are loaded. Our own first: where two look alike, OpenSSL goes by it."""
    return [
        one.public_bytes(Encoding.DER)
        for domain in sorted(authorities, key=lambda name: (name != ours, name))
        for one in authorities[domain]
    ]


def _loadable(
    authorities: Mapping[str, tuple[x509.Certificate, ...]],
) -> dict[str, tuple[x509.Certificate, ...]]:
    """Those of the trust domains whose every authority OpenSSL loads; the others are told of."""
    loadable = {
        domain: held
        for domain, held in authorities.items()
        if loads_authorities([one.public_bytes(Encoding.DER) for one in held])
    }
    logger.warning(
        "authorities that OpenSSL cannot load: their trust domains are left out",
        extra={"event": "tls_context", "domains": len(authorities) - len(loadable)},
    )
    return loadable


def server_context(
    keeper: IdentityKeeper, events: IdentityEvents, clock: Clock, *, keys_on_disk: bool = False
) -> RotatingContext:
    """The context of a listener: anyone with a SPIFFE identity we can verify is let in, whom
    policy then judges. `keys_on_disk`: where memory cannot hold a key, a file may for a moment."""
    return RotatingContext(
        _Maker(
            role=Role.SERVER,
            keeper=keeper,
            events=events,
            clock=clock,
            expect=None,
            alpn=_ALPN,
            keys_on_disk=keys_on_disk,
        )
    )


def client_context(
    keeper: IdentityKeeper,
    events: IdentityEvents,
    clock: Clock,
    *,
    expect: Expected,
    alpn: tuple[str, ...] = _ALPN,
    keys_on_disk: bool = False,
) -> RotatingContext:
    """The context of one upstream, who must be one of `expect`."""
    return RotatingContext(
        _Maker(
            role=Role.CLIENT,
            keeper=keeper,
            events=events,
            clock=clock,
            expect=expect,
            alpn=alpn,
            keys_on_disk=keys_on_disk,
        )
    )
