"""Rules between the settings of policy's delivery, and what its URL names."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from outrider.config.identity_checks import expected_faults
from outrider.config.settings import Profile, Settings
from outrider.config.texts import Fault

_HOST: Final = r"(\[[0-9a-f:]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)"
_WEB: Final = re.compile(
    rf"(https?)://{_HOST}(?::([0-9]{{1,5}}))?(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)"
)
_OCI: Final = re.compile(
    rf"oci(\+http)?://{_HOST}(?::([0-9]{{1,5}}))?/"
    r"((?:[a-z0-9]+(?:[._-]+[a-z0-9]+)*/)*[a-z0-9]+(?:[._-]+[a-z0-9]+)*)"
    r"(?::([A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?"
)
_REDIRECT: Final = re.compile(rf"{_HOST}(?::[0-9]{{1,5}})?")
_URL_ALLOWED: Final = (
    "give https://host[:port]/path or oci://registry[:port]/repository:tag (or @sha256:…), without "
    "userinfo, query or fragment"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleUrl:
    """A place bundles come from. `origin` is `http(s)://host[:port]`; `path` belongs to a file on a
    web server, else `repository` and `reference` (a tag or a digest) to one in a registry."""

    origin: str
    host: str
    path: str | None = None
    repository: str = ""
    reference: str = ""

    @property
    def is_plain(self) -> bool:
        return self.origin.startswith("http://")

    @property
    def is_near(self) -> bool:
        """Whether it is this machine."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def bundle_url(text: str) -> BundleUrl | None:
    """`text` in its parts, or None where it names no bundle. A tag beside a digest is left out: the
    digest says which."""
    web = _WEB.fullmatch(text)
    if web is not None:
        origin = _origin(web[1], web[2], web[3])
        if origin is None:
            return None
        return BundleUrl(origin=origin, host=web[2].strip("[]"), path=web[4])
    oci = _OCI.fullmatch(text)
    if oci is None or len(oci[4]) > 255 or not (oci[5] or oci[6]):
        return None
    origin = _origin("http" if oci[1] else "https", oci[2], oci[3])
    if origin is None:
        return None
    return BundleUrl(
        origin=origin, host=oci[2].strip("[]"), repository=oci[4], reference=oci[6] or oci[5]
    )


def _origin(scheme: str, host: str, port: str | None) -> str | None:
    if port is not None and not 0 < int(port) <= 65535:
        return None
    return f"{scheme}://{host.lower()}" + (f":{port}" if port else "")


def delivery_faults(settings: Settings) -> Iterator[Fault]:
    """Of `policy.bundle` and `policy.signature`."""
    policy, bundle = settings.policy, settings.policy.bundle
    production = settings.profile is Profile.PRODUCTION
    local = policy.signature.local or ("required" if production else "unsigned")
    if local == "required" and not policy.signature.keys and bundle.url is None:
        yield from _unsigned(settings)
    for host in bundle.redirect_hosts:
        if not _REDIRECT.fullmatch(host):
            yield Fault(
                key="policy.bundle.redirect_hosts", value=host, allowed="give host or host:port"
            )
    if bundle.url is None:
        return
    url = bundle_url(bundle.url)
    if url is None:
        yield Fault(key="policy.bundle.url", value=bundle.url, allowed=_URL_ALLOWED)
        return
    if policy.path is not None:
        yield Fault(
            key="policy.path",
            value=policy.path,
            allowed="leave it out: policy.bundle.url says where policy comes from",
        )
    if not policy.signature.keys:
        yield Fault(
            key="policy.signature.keys",
            value={},
            allowed="give the public key that signs what policy.bundle.url delivers",
        )
    yield from _way(settings, url)
    yield from _credentials(settings, url)


def _unsigned(settings: Settings) -> Iterator[Fault]:
    if settings.policy.path is not None or settings.policy.overlay:
        yield Fault(
            key="policy.signature.keys",
            value={},
            allowed="give the public key that signs policy, or policy.signature.local: unsigned",
        )


def _way(settings: Settings, url: BundleUrl) -> Iterator[Fault]:
    """How the server is reached and proved."""
    bundle = settings.policy.bundle
    production = settings.profile is Profile.PRODUCTION
    if url.is_plain and (production or not (url.is_near or bundle.allow_plain)):
        yield Fault(
            key="policy.bundle.url",
            value=bundle.url,
            allowed="give https or oci; plain http only on loopback or with allow_plain, and never "
            "in production",
        )
    if bundle.expect:
        yield from expected_faults("policy.bundle.expect", bundle.expect)
        if settings.identity.source == "none":
            yield Fault(
                key="identity.source",
                value="none",
                allowed="give workload_api or files: policy.bundle.expect takes an SVID of ours",
            )
    for key, value in (("ca_file", bundle.ca_file), ("expect", bundle.expect or None)):
        if value is not None and url.is_plain:
            yield Fault(
                key=f"policy.bundle.{key}", value=value, allowed="leave it out: the url is no https"
            )
    if bundle.ca_file is not None and bundle.expect:
        yield Fault(
            key="policy.bundle.ca_file",
            value=bundle.ca_file,
            allowed="leave it out: expect has the server verified by its SPIFFE ID",
        )


def _credentials(settings: Settings, url: BundleUrl) -> Iterator[Fault]:
    bundle = settings.policy.bundle
    if (bundle.username is None) != (bundle.password_file is None):
        key = "password_file" if bundle.password_file is None else "username"
        yield Fault(
            key=f"policy.bundle.{key}", value=None, allowed="give username and password_file both"
        )
    if bundle.username is not None and (url.path is not None or bundle.token_file is not None):
        yield Fault(
            key="policy.bundle.username",
            value=bundle.username,
            allowed="leave it out: it is for an oci:// url without token_file",
        )
    shows = bundle.token_file is not None or bundle.username is not None
    if shows and url.is_plain and not url.is_near:
        yield Fault(
            key="policy.bundle.url",
            value=bundle.url,
            allowed="give https or oci: a token or password never travels plain",
        )
