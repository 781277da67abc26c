"""Who asks: from the connection and a bearer, the proven caller.

Laws: every exchange is judged anew; two proofs must agree; a bearer counts without mutual TLS only
where the listener says so; nothing in the message but a verified token says who the caller is.

What each proof is worth. A SPIFFE peer over mutual TLS holds the key of an SVID that its trust
domain's authority signed, and still trusts. A local caller shares our network namespace (TCP
loopback) or runs under an accepted uid (Unix socket): *which* program it is is not proven, so it is
taken as the one workload this sidecar stands beside, under our own SVID's ID and no longer than
that is valid. A bearer proves that its holder came by it: it says as much as it is hard to steal.
"""

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from outrider.config.identity_settings import Identity
from outrider.config.listener_settings import Listener
from outrider.core.errors import ConfigError, UnauthenticatedError
from outrider.core.exchange import Acquaintance, Exchange, Peer, TlsPeer
from outrider.core.ports import Clock
from outrider.core.subject import Subject
from outrider.core.vocabulary import Credential, Direction
from outrider.identity.causes import Cause, refused
from outrider.identity.events import IdentityEvents
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.snapshot import OwnSvid, alive
from outrider.identity.spiffe_id import SpiffeId, SpiffeIdError, parse_spiffe_id
from outrider.identity.tokens import CallerTokens, Issuer, Proof

INSTANCE_HEADER: Final = "outrider-instance"
_BEARER_HEADERS: Final[Mapping[Direction, str]] = {
    Direction.EGRESS: "proxy-authorization",
    Direction.INGRESS: "authorization",
}
_SCHEME: Final = "bearer "
_INSTANCE: Final = re.compile(r"(?:pod|start):[A-Za-z0-9][A-Za-z0-9._-]{0,119}")


def own_instance(pod_uid: str | None) -> str:
    """What tells this pod, or else this start, from others of the same SPIFFE ID: made once a
    process. Raises `ConfigError` for a uid that could not be sent to a peer."""
    name = f"pod:{pod_uid}" if pod_uid else f"start:{secrets.token_hex(8)}"
    if not _INSTANCE.fullmatch(name):
        raise ConfigError("OUTRIDER_POD_UID is no pod's uid; give metadata.uid")
    return name


class CallerIdentifier:
    """`core.ports.Identifier` for both listeners: by the connection, by a bearer, or by both.

    `listeners` are the settings by name, `instance` is our own (`own_instance`), `issuers` are by
    their `iss`. Raises `ConfigError` for identities that cannot be used.
    """

    def __init__(  # noqa: PLR0913 - one keyword for each collaborator
        self,
        *,
        settings: Identity,
        listeners: Mapping[str, Listener],
        keeper: IdentityKeeper,
        events: IdentityEvents,
        clock: Clock,
        instance: str,
        issuers: Mapping[str, Issuer] | None = None,
    ) -> None:
        own = _own_id(settings)
        self._keeper = keeper
        self._events = events
        self._clock = clock
        self._instance = instance
        self._listeners = dict(listeners)
        self._uids = {
            name: frozenset(listener.uids or (os.getuid(),)) for name, listener in listeners.items()
        }
        self._attested = _Attested(settings, own, keeper, instance)
        self._tokens = CallerTokens(
            settings=settings, own=own, keeper=keeper, clock=clock, issuers=issuers or {}
        )
        if any(listener.bearer for listener in listeners.values()):
            self._tokens.check_usable()

    async def authenticate(self, exchange: Exchange) -> Subject:
        """The proven caller of `exchange`. Raises `UnauthenticatedError` with its `Cause`."""
        listener = self._listeners.get(exchange.listener)
        if listener is None:
            raise refused(Cause.NO_IDENTITY, "a listener without identities")
        bearers, instances = _fields(exchange)
        tls = exchange.peer.tls if exchange.direction is Direction.INGRESS else None
        if tls is not None:
            return await self._over_tls(exchange.peer.known, tls, bearers, instances)
        if instances:
            raise refused(Cause.INSTANCE, "an instance is named by SPIFFE peers alone")
        return await self._without_tls(exchange, listener, bearers)

    # --- over mutual TLS ---

    async def _over_tls(
        self, known: Acquaintance, tls: TlsPeer, bearers: list[str], instances: list[str]
    ) -> Subject:
        self._check_alive(tls)
        subject = _of_peer(known, tls, instances)
        token = _bearer(bearers)
        if token is None:
            return subject
        return await self._by_token(token, tls=tls, instance=subject.instance)

    def _check_alive(self, tls: TlsPeer) -> None:
        now_s, snapshot = self._clock.unix_s(), self._keeper.snapshot()
        if snapshot.own(now_s) is None:  # what it was sent to is nobody any more
            raise refused(Cause.NO_SVID, "there is no valid SVID to be called by", close=True)
        if alive(tls, snapshot, now_s):
            return
        if now_s >= tls.expires_unix_s:
            self._events.revalidation_failed("expired")
            raise refused(Cause.PEER_EXPIRED, "the peer's certificate has expired", close=True)
        self._events.revalidation_failed("withdrawn")
        raise refused(Cause.PEER_WITHDRAWN, "the peer's authority was withdrawn", close=True)

    # --- beside us ---

    async def _without_tls(
        self, exchange: Exchange, listener: Listener, bearers: list[str]
    ) -> Subject:
        local = self._is_local(exchange.peer, exchange.listener)
        may_attest = local and exchange.direction is Direction.EGRESS
        attested = self._attested.subject() if may_attest else None
        token = _bearer(bearers)
        if token is not None:
            allowed = listener.bearer and local
            return await self._by_token(token, allowed=allowed, attested=attested)
        if attested is None:
            raise refused(Cause.NO_IDENTITY, "no proof of identity was given")
        return attested

    def _is_local(self, peer: Peer, listener: str) -> bool:
        """True for a caller that shares our network namespace or holds an accepted uid."""
        if peer.tls is not None:
            return False
        if peer.transport != "unix":
            return peer.loopback
        if peer.uid is None or peer.uid not in self._uids[listener]:
            raise refused(Cause.UID_NOT_ALLOWED, "the peer's uid is not accepted here")
        return True

    # --- by token ---

    async def _by_token(
        self,
        token: str,
        *,
        allowed: bool = True,
        tls: TlsPeer | None = None,
        instance: str | None = None,
        attested: Subject | None = None,
    ) -> Subject:
        """The subject a bearer names, where what else is known of the caller agrees; counted."""
        try:
            if not allowed:
                raise refused(Cause.BEARER_NOT_ALLOWED, "a bearer does not count on this listener")
            proof = await self._tokens.verified(token)
            if tls is not None:
                subject = _agreed(proof, tls, instance)
            else:
                subject = self._alone(proof, attested)
        except UnauthenticatedError as fault:
            self._events.token(self._tokens.kind(token), str(fault.cause))
            raise
        self._events.token(proof.kind, "ok")
        return subject

    def _alone(self, proof: Proof, attested: Subject | None) -> Subject:
        if proof.leaf_sha256 is not None:
            raise refused(Cause.CONFIRMATION, "the token is bound to a certificate; none was shown")
        if attested is not None and proof.subject.id != attested.id:
            raise refused(Cause.DISAGREEING, "the token and the connection name different callers")
        if proof.subject.id != self._attested.own_id():
            return proof.subject
        return replace(proof.subject, instance=self._instance)


class _Attested:
    """The local caller's subject: our own SVID's ID while that is valid; without a source of
    identity the ID in settings, taken on trust."""

    def __init__(
        self, settings: Identity, own: SpiffeId | None, keeper: IdentityKeeper, instance: str
    ) -> None:
        self._sourced = settings.source != "none"
        self._on = settings.attested_local
        self._own = own
        self._keeper = keeper
        self._instance = instance
        self._under: OwnSvid | None = None
        self._subject = self._make(own, None) if own is not None else None

    def own_id(self) -> str | None:
        svid = self._keeper.snapshot().svid
        own = svid.spiffe_id if svid is not None else self._own
        return own.text if own is not None else None

    def subject(self) -> Subject | None:
        """None where local callers are not taken. Raises `UnauthenticatedError(no_svid)`."""
        if not self._on:
            return None
        if not self._sourced:
            return self._subject
        svid = self._keeper.own()
        if svid is None:
            self._under = None
            raise refused(Cause.NO_SVID, "there is no valid SVID to take a local caller under")
        if svid is not self._under or self._subject is None:
            self._under = svid
            self._subject = self._make(svid.spiffe_id, svid.expires_unix_s)
        return self._subject

    def _make(self, own: SpiffeId, expires_unix_s: float | None) -> Subject:
        return Subject(
            id=own.text,
            type="agent",
            trust_domain=own.trust_domain,
            credential=Credential.ATTESTED_LOCAL,
            expires_unix_s=expires_unix_s,
            instance=self._instance,
        )


def _of_peer(known: Acquaintance, tls: TlsPeer, instances: list[str]) -> Subject:
    """The subject of a connection's peer, and with it the instance it named: one connection is one
    instance for good. Raises `UnauthenticatedError` for a name that is none, or another than
    before."""
    subject = known.subject
    if subject is None or (instances and subject.instance is None):
        subject = known.subject = Subject(
            id=tls.spiffe_id,
            type="agent",
            trust_domain=tls.trust_domain,
            credential=Credential.X509_SVID,
            expires_unix_s=tls.expires_unix_s,
            instance=_instance(instances),
        )
    elif instances and _instance(instances) != subject.instance:
        raise refused(Cause.DISAGREEING, "the connection named another instance before")
    return subject


def _instance(values: list[str]) -> str | None:
    if not values:
        return None
    if len(values) != 1 or not _INSTANCE.fullmatch(values[0]):
        raise refused(Cause.INSTANCE, "not an instance's name")
    return values[0]


def _agreed(proof: Proof, tls: TlsPeer, instance: str | None) -> Subject:
    """The token's subject, where token and connection are of one caller: a JWT-SVID by its ID, any
    other token by being bound to the certificate that was shown."""
    subject = proof.subject
    same = (
        proof.leaf_sha256 == tls.leaf_sha256
        if proof.leaf_sha256 is not None or subject.credential is Credential.OIDC
        else subject.id == tls.spiffe_id
    )
    if not same:
        raise refused(Cause.DISAGREEING, "the token and the connection name different callers")
    if instance is not None and subject.instance not in (None, instance):
        raise refused(Cause.DISAGREEING, "the token and the connection name different instances")
    ends = (subject.expires_unix_s, tls.expires_unix_s)
    return replace(
        subject,
        expires_unix_s=min([end for end in ends if end is not None]),
        instance=subject.instance or instance,
    )


def _fields(exchange: Exchange) -> tuple[list[str], list[str]]:
    """Values of the one field that may carry a token in this direction, and of the instance's."""
    carrier = _BEARER_HEADERS.get(exchange.direction)
    bearers: list[str] = []
    instances: list[str] = []
    for name, value in exchange.head.headers:
        if name == carrier:
            bearers.append(value)
        elif name == INSTANCE_HEADER:
            instances.append(value)
    return bearers, instances


def _bearer(values: list[str]) -> str | None:
    """The token, None where no field was sent."""
    if not values:
        return None
    if len(values) > 1 or values[0][: len(_SCHEME)].lower() != _SCHEME:
        raise refused(Cause.MALFORMED_TOKEN, "not one field of scheme Bearer")
    return values[0][len(_SCHEME) :].strip(" ")


def _own_id(settings: Identity) -> SpiffeId | None:
    if settings.spiffe_id is None:
        return None
    try:
        own = parse_spiffe_id(settings.spiffe_id)
    except SpiffeIdError as fault:
        raise ConfigError(f"identity.spiffe_id: {fault}") from None
    if not own.path:
        raise ConfigError("identity.spiffe_id names a trust domain; give a workload's, with a path")
    return own
