"""What an agent's messages say, checked whole before any of it counts (IDENTITY §4).

Laws: each message is the full state, and one that breaks a rule changes nothing; a trust domain's
authorities come from its own entry and never from another's; our own domain's come beside our SVID
alone; errors are fixed sentences and hold nothing of what was sent.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from spiffe import X509Bundle

from outrider.identity.bundles import BundleError, Origin, TrustBundle, parse_bundle
from outrider.identity.snapshot import OwnSvid
from outrider.identity.spiffe_id import SpiffeIdError, parse_spiffe_id
from outrider.identity.workload_proto import UndecodableError, decoded
from outrider.identity.x509 import SvidError, read_bundle, read_own_svid

SVIDS_LIMIT: Final = 64
DOMAINS_LIMIT: Final = 1024
HINT_BYTES: Final = 1024
AUTHORITIES_TOTAL: Final = 4096
"""Over all trust domains: each is loaded into every TLS context of a generation. What one domain
may have is bounded in `identity.x509`, and costs that domain alone."""


class MalformedUpdateError(ValueError):
    """A message that is discarded whole; the text is a fixed sentence of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class X509State:
    """All that one message of `FetchX509SVID` says. `bundles` are by trust domain; `unread` counts
    federated ones that are malformed and so are none, `crls` revocation lists, which no
    specification gives a client a use for."""

    svids: tuple[OwnSvid, ...]
    bundles: Mapping[str, X509Bundle]
    unread: int
    crls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtState:
    """All that one message of `FetchJWTBundles` says."""

    bundles: Mapping[str, TrustBundle]
    unread: int


class X509Reader:
    """Reads the messages of one stream. Bundles that came before in the same bytes are not parsed
    again: with hundreds of federated domains that is what an update costs."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bytes], X509Bundle] = {}

    def read(self, data: bytes, *, now_unix_s: float) -> X509State:
        """Raises `MalformedUpdateError`."""
        try:
            message = decoded("X509SVIDResponse", data)
            federated = _by_domain(message.federated_bundles)
            return self._state(message, federated, now_unix_s)
        except (UndecodableError, SvidError) as fault:
            raise MalformedUpdateError(str(fault)) from None

    def _state(self, message: Any, federated: Mapping[str, bytes], now: float) -> X509State:  # noqa: ANN401 - protobuf has no types of ours
        if not message.svids:
            raise MalformedUpdateError("no SVID")
        if len(message.svids) > SVIDS_LIMIT:
            raise MalformedUpdateError(f"more than {SVIDS_LIMIT} SVIDs")
        known: dict[tuple[str, bytes], X509Bundle] = {}
        own: dict[str, X509Bundle] = {}
        svids = []
        for entry in message.svids:
            _check_entry(entry)
            domain = _domain(entry.spiffe_id)
            bundle = self._bundle(domain, entry.bundle, known)
            if own.setdefault(domain, bundle) != bundle:
                raise MalformedUpdateError("SVIDs that disagree on the bundle of their domain")
            svids.append(
                read_own_svid(
                    spiffe_id=entry.spiffe_id,
                    chain=entry.x509_svid,
                    key=entry.x509_svid_key,
                    bundle=bundle,
                    hint=entry.hint,
                    now_unix_s=now,
                )
            )
        others, unread = self._federated(federated, own, known)
        self._known = known
        return X509State(
            svids=tuple(svids), bundles=others | own, unread=unread, crls=len(message.crl)
        )

    def _federated(
        self,
        federated: Mapping[str, bytes],
        own: Mapping[str, X509Bundle],
        known: dict[tuple[str, bytes], X509Bundle],
    ) -> tuple[dict[str, X509Bundle], int]:
        """The bundles of other domains, and how many are malformed: those domains have none."""
        found: dict[str, X509Bundle] = {}
        unread = 0
        left = AUTHORITIES_TOTAL - sum(len(one.x509_authorities) for one in own.values())
        for domain in federated.keys() - set(own):
            try:
                found[domain] = self._bundle(domain, federated[domain], known)
            except SvidError:
                unread += 1
                continue
            left -= len(found[domain].x509_authorities)
            if left < 0:
                raise MalformedUpdateError(f"more than {AUTHORITIES_TOTAL} authorities in all")
        return found, unread

    def _bundle(
        self, domain: str, der: bytes, known: dict[tuple[str, bytes], X509Bundle]
    ) -> X509Bundle:
        name = (domain, der)
        bundle = self._known.get(name) or known.get(name) or read_bundle(domain, der)
        known[name] = bundle
        return bundle


def read_jwt_bundles(data: bytes, *, own_domain: str | None) -> JwtState:
    """Another domain's malformed keys are none of that domain's; `own_domain`'s discard the
    message. Raises `MalformedUpdateError`."""
    try:
        documents = _by_domain(decoded("JWTBundlesResponse", data).bundles)
    except UndecodableError as fault:
        raise MalformedUpdateError(str(fault)) from None
    if not documents:
        raise MalformedUpdateError("no JWT bundle")
    found: dict[str, TrustBundle] = {}
    unread = 0
    for domain, document in documents.items():
        try:
            found[domain] = parse_bundle(document, domain, Origin.WORKLOAD_API)
        except BundleError:
            if domain == own_domain:
                raise MalformedUpdateError("our own domain's JWT bundle cannot be read") from None
            unread += 1
    return JwtState(bundles=found, unread=unread)


def chosen(svids: Iterable[OwnSvid], *, hint: str | None, spiffe_id: str | None) -> OwnSvid | None:
    """The SVID that settings ask for; without any wish, the first. Of equal hints the first has it
    and the rest are passed over. None where no one fits: no other takes its place."""
    taken: set[str] = set()
    for svid in svids:
        if svid.hint and svid.hint in taken:
            continue
        taken.add(svid.hint)
        if hint in (None, svid.hint) and spiffe_id in (None, svid.spiffe_id.text):
            return svid
    return None


def _check_entry(entry: Any) -> None:  # noqa: ANN401 - protobuf has no types of ours
    if not (entry.spiffe_id and entry.x509_svid and entry.x509_svid_key and entry.bundle):
        raise MalformedUpdateError("an SVID with an empty mandatory field")
    if len(entry.hint.encode()) > HINT_BYTES:
        raise MalformedUpdateError(f"a hint longer than {HINT_BYTES} bytes")


def _domain(spiffe_id: str) -> str:
    try:
        return parse_spiffe_id(spiffe_id).trust_domain
    except SpiffeIdError:
        raise MalformedUpdateError("an SVID whose name is no SPIFFE ID") from None


def _by_domain(bundles: Mapping[str, bytes]) -> dict[str, bytes]:
    """By bare trust domain; the keys of the API's maps are SPIFFE IDs without a path."""
    if len(bundles) > DOMAINS_LIMIT:
        raise MalformedUpdateError(f"more than {DOMAINS_LIMIT} trust domains")
    found: dict[str, bytes] = {}
    for name, value in bundles.items():
        try:
            told = parse_spiffe_id(name)
        except SpiffeIdError:
            raise MalformedUpdateError("a bundle of what is no trust domain") from None
        if told.path:
            raise MalformedUpdateError("a bundle of what is no trust domain")
        found[told.trust_domain] = bytes(value)
    return found
