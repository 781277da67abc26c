"""Rules between the settings of identity: who we are, whom we expect, whose tokens we take."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from outrider.config.identity_settings import OidcIssuer
from outrider.config.settings import Settings
from outrider.config.texts import Fault
from outrider.core.jsonvalue import JsonObject

_EXPECTED: Final = re.compile(
    r"spiffe://[a-z0-9._-]{1,255}/(?:\*|(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+"
    r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+)*(?:/\*)?)"
)
_DOMAIN: Final = re.compile(r"[a-z0-9._-]{1,255}")
_UNIX: Final = re.compile(r"unix:(?://)?(/[^\x00-\x20?#%]+)")
_TCP: Final = re.compile(r"tcp://(\[[0-9a-fA-F:]+\]|[0-9.]+):([0-9]{1,5})")
_URL_BYTES: Final = 2048
_SOCKET_BYTES: Final = 107  # sun_path of Linux, less its NUL


def identity_faults(settings: Settings) -> Iterator[Fault]:
    identity = settings.identity
    address = identity.workload_api.address
    if address is not None and endpoint_of(address) is None:
        yield Fault(
            key="identity.workload_api.address",
            value=address,
            allowed=endpoint_allowed(address),
        )
    yield from _domains(settings)
    if identity.source == "files" and identity.files.directory is None:
        yield Fault(
            key="identity.files.directory", value=None, allowed="give the directory of svid.pem"
        )
    issuers: dict[str, str] = {}
    for name, issuer in identity.oidc.items():
        yield from _issuer(f"identity.oidc.{name}", issuer)
        other = issuers.setdefault(issuer.issuer, name)
        if other != name:
            yield Fault(
                key=f"identity.oidc.{name}.issuer",
                value=issuer.issuer,
                allowed=f"give each issuer one name: {other} has it already",
            )
    yield from _mutual(settings)


def _domains(settings: Settings) -> Iterator[Fault]:
    identity = settings.identity
    for key, domains in (
        ("identity.files.federated", identity.files.federated),
        ("identity.trust_domains", identity.trust_domains),
        ("identity.trust_bundles", identity.trust_bundles),
    ):
        for domain in domains:
            if not _DOMAIN.fullmatch(domain):
                yield Fault(
                    key=key,
                    value=domain,
                    allowed="give a trust domain's name alone, such as acme.test, in lower case",
                )


def emptied_faults(document: JsonObject) -> Iterator[Fault]:
    """A `spiffe:` of an upstream with nothing below it: read as left out, it would put the CAs of
    the web in the place of whom somebody meant to expect."""
    upstreams = document.get("upstreams")
    for name, upstream in upstreams.items() if isinstance(upstreams, dict) else ():
        tls = upstream.get("tls") if isinstance(upstream, dict) else None
        if isinstance(tls, dict) and "spiffe" in tls and tls["spiffe"] is None:
            yield Fault(
                key=f"upstreams.{name}.tls.spiffe",
                value=None,
                allowed="give expect below it, or leave spiffe out to verify by host name and CAs",
            )


def _mutual(settings: Settings) -> Iterator[Fault]:
    """What takes an SVID of ours."""
    lacks = settings.identity.source == "none"
    for name, upstream in settings.upstreams.items():
        key = f"upstreams.{name}"
        spiffe = upstream.tls.spiffe
        if spiffe is not None:
            yield from expected_faults(f"{key}.tls.spiffe.expect", spiffe.expect)
            if upstream.url.partition(":")[0].lower() != "https":
                yield Fault(key=f"{key}.url", value=upstream.url, allowed="give https for SPIFFE")
            if upstream.ca_file is not None:
                yield Fault(
                    key=f"{key}.ca_file",
                    value=upstream.ca_file,
                    allowed="leave it out: with tls.spiffe the trust bundles decide, no CA else",
                )
        if lacks and (spiffe is not None or upstream.direction == "ingress"):
            yield Fault(
                key="identity.source",
                value="none",
                allowed=f"give workload_api or files: {key} takes an SVID of ours",
            )


def remote_faults(settings: Settings) -> Iterator[Fault]:
    """Of `policy.opa` in mode `remote`."""
    opa = settings.policy.opa
    if not _is_https(opa.url or "") or urlsplit(opa.url or "").path.rstrip("/"):
        yield Fault(key="policy.opa.url", value=opa.url, allowed="give https://host:port of OPA")
    yield from expected_faults("policy.opa.expect", opa.expect)
    if settings.identity.source == "none":
        yield Fault(
            key="identity.source",
            value="none",
            allowed="give workload_api or files: OPA is asked under our SVID in mode remote",
        )


def expected_faults(key: str, names: tuple[str, ...]) -> Iterator[Fault]:
    """Of names of peers under `key`."""
    allowed = "give SPIFFE IDs, whole or ending in /*, such as spiffe://acme.test/ns/crm/*"
    if not names:
        yield Fault(key=key, value=(), allowed=allowed)
    for name in names:
        if not _EXPECTED.fullmatch(name) or len(name) > _URL_BYTES:
            yield Fault(key=key, value=name, allowed=allowed)


def _issuer(key: str, issuer: OidcIssuer) -> Iterator[Fault]:
    for name, text in (("issuer", issuer.issuer), ("jwks_url", issuer.jwks_url)):
        if text is not None and not _is_https(text):
            yield Fault(
                key=f"{key}.{name}",
                value=text,
                allowed="give https://host[:port][/path] without userinfo, query or fragment",
            )
    if not issuer.audience:
        yield Fault(key=f"{key}.audience", value="", allowed="give what `aud` must hold")
    if not issuer.algorithms:
        yield Fault(key=f"{key}.algorithms", value=(), allowed="give at least one")


def _is_https(text: str) -> bool:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        return False
    plain = not (url.username or url.password or url.query or url.fragment) and port != 0
    return url.scheme == "https" and bool(url.hostname) and plain and text.isascii()


def endpoint_allowed(address: str | None) -> str:
    """What is to be given in place of an `address` that `endpoint_of` does not take."""
    unix = _UNIX.fullmatch(address or "")
    if unix is not None and len(unix.group(1).encode()) > _SOCKET_BYTES:
        return f"give a path of at most {_SOCKET_BYTES} bytes: no socket can have a longer one"
    return "give unix:///absolute/path or tcp://<IP address>:<port>"


def endpoint_of(address: str) -> str | None:
    """The gRPC target of a Workload API address (SPIFFE Workload Endpoint §4), or None: only
    `unix:` with an absolute path and `tcp://` with an IP literal and a port are addresses."""
    unix = _UNIX.fullmatch(address)
    if unix is not None:
        path = unix.group(1)
        fits = not path.startswith("//") and len(path.encode()) <= _SOCKET_BYTES
        return f"unix:{path}" if fits else None
    tcp = _TCP.fullmatch(address)
    if tcp is None or not 0 < int(tcp.group(2)) <= 65535:
        return None
    try:
        ipaddress.ip_address(tcp.group(1).strip("[]"))
    except ValueError:
        return None
    return f"{tcp.group(1)}:{tcp.group(2)}"
