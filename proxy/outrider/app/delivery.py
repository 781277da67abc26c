"""Where policy comes from and on whose word it is taken, as the settings say."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from outrider.app.data_plane import upstream_hosts
from outrider.app.identity import OwnIdentity
from outrider.config.delivery_checks import BundleUrl, bundle_url
from outrider.config.load import Loaded
from outrider.config.paths import shipped_rego
from outrider.config.settings import Profile
from outrider.core.errors import ConfigError
from outrider.core.ports import Clock
from outrider.core.secret import Secret
from outrider.policy.bundle_keys import VerifyingKey, read_public
from outrider.policy.delivery import Delivery, Pace
from outrider.policy.keeper import PolicyKeeper
from outrider.policy.ledger import SequenceLedger
from outrider.policy.policy_source import PolicySource
from outrider.policy.shelf import Shelf
from outrider.policy.sources.origin import BundleOrigin
from outrider.policy.trust import Trust
from outrider.stores.keyfile import read_password

_KEY_BYTES: Final = 16_384
_FOLDER: Final = "policy"


class NotFetchedError(ConfigError):
    """Policy is fetched, and none was in force here yet."""


def trust_of(loaded: Loaded, *, strict: bool = False) -> Trust:
    """Whose signature counts; `strict` wants one on local policy too, the library's included."""
    policy = loaded.settings.policy
    signature = policy.signature

    def keys() -> dict[str, VerifyingKey]:
        return {
            name: read_public(name, one.algorithm, _pem(name, loaded.path(one.file)))
            for name, one in signature.keys.items()
        }

    return Trust(
        keys=keys,
        scope=signature.scope,
        local=strict or signature.local == "required",
        shipped=None if strict or policy.path else shipped_rego(),
    )


def _pem(name: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_KEY_BYTES)
    except OSError as fault:
        raise ConfigError(
            f"policy.signature.keys.{name}.file {path}: cannot be read: {fault.strerror}"
        ) from fault


def keys_for_opa(loaded: Loaded) -> tuple[VerifyingKey, ...]:
    """The keys by which the OPA that we feed verifies too: where it gets bundles as they were
    signed, and knows the algorithms. Blocking. Raises `ConfigError`."""
    policy = loaded.settings.policy
    if policy.bundle.url is None or policy.overlay:
        return ()
    keys = tuple(trust_of(loaded).keys().values())
    return () if any(key.algorithm == "EdDSA" for key in keys) else keys


def source_of(loaded: Loaded) -> PolicySource:
    """Where policy comes from; without a path where it is fetched."""
    policy = loaded.settings.policy
    path = loaded.path(policy.path) if policy.path else shipped_rego()
    return PolicySource(
        path=None if policy.bundle.url else path,
        overlays=tuple(loaded.path(name) for name in policy.overlay),
        hosts=upstream_hosts(loaded.settings),
        complete=loaded.settings.profile is Profile.PRODUCTION,
        trust=trust_of(loaded),
    )


def source_at_rest(loaded: Loaded) -> PolicySource:
    """The same with no sidecar running: what was fetched last. Blocking; raises `ConfigError`,
    `NotFetchedError` where there is nothing."""
    source = source_of(loaded)
    if source.path is None:
        url = _url(loaded)
        kept = Shelf(loaded.data(_FOLDER)).load(name_of(url))
        if kept is None:
            raise NotFetchedError(f"no bundle of {name_of(url)} was in force here yet")
        return replace(source, path=kept.packed)
    return source


def ledger_of(loaded: Loaded) -> SequenceLedger:
    least = loaded.settings.policy.signature.least_sequence
    return SequenceLedger(loaded.data(_FOLDER), least=least)


def delivery_of(
    loaded: Loaded,
    keeper: PolicyKeeper,
    clock: Clock,
    identity: OwnIdentity | None,
    downloads_failed: Callable[[], None],
) -> Delivery | None:
    """What fetches policy; None where it lies in files. Blocking: reads CAs. Raises `ConfigError`.

    `identity` is what a server that must prove a SPIFFE ID is shown.
    """
    bundle = loaded.settings.policy.bundle
    if bundle.url is None:
        return None
    return Delivery(
        origin=_origin(loaded, _url(loaded), identity),
        keeper=keeper,
        shelf=Shelf(loaded.data(_FOLDER)),
        clock=clock,
        pace=Pace(poll_s=bundle.poll_s, timeout_s=bundle.timeout_s),
        downloads_failed=downloads_failed,
    )


def name_of(url: BundleUrl) -> str:
    """What people know the place by."""
    if url.path is not None:
        return f"{url.origin}{url.path}"
    mark = "@" if ":" in url.reference else ":"
    return f"{url.origin}/{url.repository}{mark}{url.reference}"


def _url(loaded: Loaded) -> BundleUrl:
    url = bundle_url(loaded.settings.policy.bundle.url or "")
    if url is None:
        raise ConfigError("policy.bundle.url names no bundle")
    return url


def _origin(loaded: Loaded, url: BundleUrl, identity: OwnIdentity | None) -> BundleOrigin:
    # Here, since an HTTP client brings memory that a sidecar with files need not carry.
    from outrider.policy.sources.oci import Login, OciOrigin, Registry  # noqa: PLC0415
    from outrider.policy.sources.web import WebOrigin  # noqa: PLC0415
    from outrider.policy.sources.wire import HttpWire  # noqa: PLC0415

    bundle = loaded.settings.policy.bundle
    wire = HttpWire(None if url.is_plain else _context(loaded, identity))

    async def token() -> Secret | None:
        return await _secret(loaded, bundle.token_file)

    async def login() -> Login:
        return Login(
            token=await token(),
            username=bundle.username or "",
            password=await _secret(loaded, bundle.password_file),
        )

    if url.path is not None:
        return WebOrigin(url=name_of(url), wire=wire, token=token, limit_bytes=bundle.size_bytes)
    return OciOrigin(
        registry=Registry(
            name=name_of(url),
            origin=url.origin,
            repository=url.repository,
            reference=url.reference,
            redirect_hosts=frozenset() if bundle.expect else frozenset(bundle.redirect_hosts),
        ),
        wire=wire,
        login=login,
        limit_bytes=bundle.size_bytes,
    )


async def _secret(loaded: Loaded, file: str | None) -> Secret | None:
    return None if file is None else await asyncio.to_thread(read_password, loaded.path(file))


def _context(loaded: Loaded, identity: OwnIdentity | None) -> ssl.SSLContext:
    bundle = loaded.settings.policy.bundle
    if bundle.expect:
        if identity is None:
            raise ConfigError("policy.bundle.expect takes an identity.source")
        return identity.client_context(bundle.expect)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # bare: the environment names no key log
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    try:
        if bundle.ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cafile=loaded.path(bundle.ca_file))
    except (OSError, ValueError) as fault:
        raise ConfigError(
            f"policy.bundle.ca_file is {bundle.ca_file!r}; give a PEM file of CA certificates"
        ) from fault
    return context
