"""Who asks: from the connection and a bearer, the proven caller.

Laws: every exchange is judged anew; two proofs must agree; a bearer counts without mutual TLS only
where the listener says so; nothing in the message but a verified token says who the caller is.
"""

import hashlib
import os
import secrets
from collections.abc import Mapping
from typing import Final

from outrider.config.settings import Identity, Listener
from outrider.core.errors import ConfigError
from outrider.core.exchange import Exchange, Peer
from outrider.core.ports import Clock
from outrider.core.subject import Subject
from outrider.core.vocabulary import Credential
from outrider.identity.bundles import Bundles, BundleSource
from outrider.identity.causes import Cause, refused
from outrider.identity.jwt_svid import Expectation, VerifiedSvid, verify_jwt_svid
from outrider.identity.spiffe_id import SpiffeId, SpiffeIdError, parse_spiffe_id, parse_trust_domain

_HEADER: Final = "proxy-authorization"
_SCHEME: Final = "bearer "
_CACHE_LIMIT: Final = 1024


class LocalIdentifier:
    """`core.ports.Identifier` for callers beside us: by the connection, or by a JWT-SVID.

    `listeners` are the settings by name; `pod_uid` names the instance where there is one, else a
    random id does for this start. Raises `ConfigError` for identities that cannot be used.
    """

    def __init__(
        self,
        *,
        settings: Identity,
        listeners: Mapping[str, Listener],
        bundles: BundleSource,
        clock: Clock,
        pod_uid: str | None = None,
    ) -> None:
        own = _own_id(settings)
        self._listeners = dict(listeners)
        self._uids = {
            name: frozenset(listener.uids or (os.getuid(),)) for name, listener in listeners.items()
        }
        self._instance = f"pod:{pod_uid}" if pod_uid else f"start:{secrets.token_hex(8)}"
        self._own = own
        self._attested = _attested(own, self._instance) if settings.attested_local else None
        self._tokens = _Tokens(bundles=bundles, expected=_expected(settings, own), clock=clock)
        if any(listener.bearer for listener in listeners.values()):
            self._tokens.check_usable()

    @property
    def instance(self) -> str:
        """What tells this start (or pod) from others of the same SPIFFE ID."""
        return self._instance

    async def authenticate(self, exchange: Exchange) -> Subject:
        listener = self._listeners.get(exchange.listener)
        if listener is None:
            raise refused(Cause.NO_IDENTITY, "a listener without identities")
        local = self._is_local(exchange.peer, exchange.listener)
        token = _bearer(exchange)
        if token is None:
            if not local or self._attested is None:
                raise refused(Cause.NO_IDENTITY, "no proof of identity was given")
            return self._attested
        if not listener.bearer or not local:
            raise refused(Cause.BEARER_NOT_ALLOWED, "a bearer does not count on this listener")
        subject = self._by_token(self._tokens.verified(token))
        if self._attested is not None and subject.id != self._attested.id:
            raise refused(Cause.DISAGREEING, "the token and the connection name different callers")
        return subject

    def _is_local(self, peer: Peer, listener: str) -> bool:
        """True for a caller that shares our network namespace or holds an accepted uid."""
        if peer.tls is not None:
            return False
        if peer.transport != "unix":
            return peer.loopback
        if peer.uid is None or peer.uid not in self._uids[listener]:
            raise refused(Cause.UID_NOT_ALLOWED, "the peer's uid is not accepted here")
        return True

    def _by_token(self, svid: VerifiedSvid) -> Subject:
        is_own = self._own is not None and svid.subject.text == self._own.text
        return Subject(
            id=svid.subject.text,
            type="agent",
            trust_domain=svid.subject.trust_domain,
            credential=Credential.JWT_SVID,
            expires_unix_s=svid.expires_unix_s,
            instance=self._instance if is_own else None,
        )


class _Tokens:
    """Verified tokens by digest: asked again after expiry, and after any change of the bundles."""

    def __init__(
        self, *, bundles: BundleSource, expected: Expectation | None, clock: Clock
    ) -> None:
        self._bundles = bundles
        self._expected = expected
        self._clock = clock
        self._under: Bundles | None = None
        self._known: dict[bytes, VerifiedSvid] = {}

    def check_usable(self) -> None:
        if self._expected is None:
            raise ConfigError(
                "identity.audience is empty and there is no identity.spiffe_id; give one of them "
                "for a listener with `bearer: true`"
            )

    def verified(self, token: str) -> VerifiedSvid:
        if self._expected is None:
            raise refused(Cause.BEARER_NOT_ALLOWED, "no audience is configured for tokens")
        bundles = self._bundles.snapshot()
        if bundles is not self._under:
            self._under, self._known = bundles, {}
        now_s = self._clock.unix_s()
        name = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(name)
        if known is not None and now_s < known.expires_unix_s:
            return known
        svid = verify_jwt_svid(token, bundles=bundles, expected=self._expected, now_unix_s=now_s)
        self._known.pop(name, None)
        while len(self._known) >= _CACHE_LIMIT:
            del self._known[next(iter(self._known))]
        self._known[name] = svid
        return svid


def _bearer(exchange: Exchange) -> str | None:
    """The token of the one `Proxy-Authorization` field, or None where there is no field."""
    values = exchange.head.headers_named(_HEADER)
    if not values:
        return None
    if len(values) > 1 or values[0][: len(_SCHEME)].lower() != _SCHEME:
        raise refused(Cause.MALFORMED_TOKEN, "not one Proxy-Authorization of scheme Bearer")
    return values[0][len(_SCHEME) :].strip(" ")


def _attested(own: SpiffeId | None, instance: str) -> Subject | None:
    if own is None:
        return None
    return Subject(
        id=own.text,
        type="agent",
        trust_domain=own.trust_domain,
        credential=Credential.ATTESTED_LOCAL,
        expires_unix_s=None,
        instance=instance,
    )


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


def _expected(settings: Identity, own: SpiffeId | None) -> Expectation | None:
    try:
        domains = {parse_trust_domain(name) for name in settings.trust_domains}
    except SpiffeIdError as fault:
        raise ConfigError(f"identity.trust_domains: {fault}") from None
    audience = settings.audience or (own.text if own is not None else None)
    if audience is None:
        return None
    return Expectation(
        audience=audience,
        trust_domains=frozenset(domains | ({own.trust_domain} if own else set())),
        leeway_s=settings.jwt_leeway_s,
        max_life_s=settings.jwt_max_life_s,
    )
