"""What no single setting can say: rules between settings, each naming key, value and remedy."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import SplitResult, urlsplit

from outrider.config.delivery_checks import delivery_faults
from outrider.config.identity_checks import identity_faults, remote_faults
from outrider.config.listener_settings import Listener
from outrider.config.settings import LACKS_FOR_PRODUCTION, Profile, Settings
from outrider.config.store_checks import store_faults
from outrider.config.texts import Fault, path_faults
from outrider.config.tunnel_checks import tunnel_faults
from outrider.config.upstream_settings import Upstream

_PREFIX: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")
_HOST: Final = re.compile(
    r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?|\[[0-9a-f:]+\](?::[0-9]{1,5})?"
)
_URL: Final = re.compile(r"(?i:https?)://[!-~]+")
_NAME: Final = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?")
_SPIFFE_ID: Final = re.compile(r"spiffe://[a-z0-9._-]{1,255}(?:/[A-Za-z0-9._-]+)+")
_PORT_DIGITS: Final = 5
_FRAMING: Final = frozenset(
    {"host", "content-type", "content-length", "content-encoding", "transfer-encoding", "accept"}
    | {"connection", "expect", "te", "trailer", "upgrade", "traceparent", "last-event-id"}
)
_LOOPBACK_NAMES: Final = frozenset({"localhost"})


def faults_of(settings: Settings) -> tuple[Fault, ...]:
    """Every fault between settings, in the order of the keys; none where they can be used."""
    return (
        *_production(settings),
        *_identity(settings),
        *_listeners(settings),
        *_upstreams(settings),
        *tunnel_faults(settings),
        *_credentials(settings),
        *_agent_credentials(settings),
        *_policy(settings),
        *delivery_faults(settings),
        *_tracing(settings),
        *store_faults(settings),
        *path_faults(settings),
    )


def _production(settings: Settings) -> Iterator[Fault]:
    if settings.profile is not Profile.PRODUCTION:
        return
    lacking = "; ".join(LACKS_FOR_PRODUCTION)
    yield Fault(
        key="profile",
        value=settings.profile.value,
        allowed=f"give demo or development: this version still lacks {lacking}",
    )


def _identity(settings: Settings) -> Iterator[Fault]:
    yield from identity_faults(settings)
    spiffe_id = settings.identity.spiffe_id
    if spiffe_id is None:
        if settings.upstreams and settings.identity.source == "none":
            yield Fault(
                key="identity.spiffe_id",
                value=None,
                allowed="give the agent's SPIFFE ID, such as spiffe://acme.test/ns/support/sa/triage",
            )
    elif not _SPIFFE_ID.fullmatch(spiffe_id) or len(spiffe_id) > 2048:
        yield Fault(
            key="identity.spiffe_id",
            value=spiffe_id,
            allowed="give spiffe://<trust domain>/<path> in lower-case trust domain, no trailing /",
        )


def _listeners(settings: Settings) -> Iterator[Fault]:
    for name in ("egress", "ingress", "control", "telemetry"):
        listener: Listener = getattr(settings.listeners, name)
        key = f"listeners.{name}"
        if not listener.addresses and listener.unix is None:
            yield Fault(key=f"{key}.addresses", value=(), allowed="give an address or a unix path")
        if listener.uids and listener.unix is None:
            yield Fault(
                key=f"{key}.uids",
                value=list(listener.uids),
                allowed=f"give {key}.unix too: over TCP nobody's uid is known",
            )
        for address in listener.addresses:
            if split_address(address) is None:
                yield Fault(
                    key=f"{key}.addresses",
                    value=address,
                    allowed="give host:port, host an IP address",
                )
            elif not is_loopback(address) and (listener.bearer or name == "control"):
                yield Fault(
                    key=f"{key}.addresses",
                    value=address,
                    allowed="give a loopback address or a unix path: without mTLS nothing else may "
                    "carry a bearer or control this sidecar",
                )
    yield from _taken(settings)


def _taken(settings: Settings) -> Iterator[Fault]:
    """Places where two listeners would listen; an ingress that is not opened takes none."""
    is_entered = any(one.direction == "ingress" for one in settings.upstreams.values())
    places: list[tuple[str, str]] = []
    for name in ("egress", "ingress", "control", "telemetry"):
        if name == "ingress" and not is_entered:
            continue
        listener: Listener = getattr(settings.listeners, name)
        places += [(f"listeners.{name}.addresses", one) for one in listener.addresses]
        if listener.unix is not None:
            places.append((f"listeners.{name}.unix", listener.unix))
    for number, (key, place) in enumerate(places):
        for other, before in places[:number]:
            if _overlap(place, before):
                yield Fault(key=key, value=place, allowed=f"{other} has it already ({before})")
                break


def _overlap(one: str, other: str) -> bool:
    """Whether both cannot be listened at: the same place, or all addresses and one of them."""
    if one == other:
        return (split_address(one) or ("", 1))[1] != 0  # port 0 is a free one each time
    left, right = split_address(one), split_address(other)
    if left is None or right is None or left[1] != right[1] or left[1] == 0:
        return False
    first, second = ipaddress.ip_address(left[0]), ipaddress.ip_address(right[0])
    return first.version == second.version and (
        first == second or first.is_unspecified or second.is_unspecified
    )


def _upstreams(settings: Settings) -> Iterator[Fault]:
    places: dict[str, tuple[dict[str, str], dict[str, str]]] = {
        "egress": ({}, {}),
        "ingress": ({}, {}),
    }
    for name, upstream in settings.upstreams.items():
        key = f"upstreams.{name}"
        yield from _upstream(key, upstream, settings)
        prefixes, hosts = places[upstream.direction]
        if upstream.prefix is not None:
            other = prefixes.setdefault(upstream.prefix, name)
            if other != name:
                yield Fault(
                    key=f"{key}.prefix", value=upstream.prefix, allowed=f"{other} has it already"
                )
        for host in upstream.hosts:
            if not _HOST.fullmatch(host):
                yield Fault(
                    key=f"{key}.hosts", value=host, allowed="give host or host:port in lower case"
                )
            other = hosts.setdefault(host, name)
            if other != name:
                yield Fault(key=f"{key}.hosts", value=host, allowed=f"{other} has it already")


def _upstream(key: str, upstream: Upstream, settings: Settings) -> Iterator[Fault]:
    url = split_url(upstream.url)
    if url is None:
        yield Fault(
            key=f"{key}.url",
            value=upstream.url,
            allowed="give http(s)://host[:port][/path] in ASCII without spaces",
        )
    elif url.username or url.query or url.fragment:
        yield Fault(
            key=f"{key}.url", value=upstream.url, allowed="leave out userinfo, query and fragment"
        )
    elif (
        url.scheme == "http"
        and not settings.allow_plain
        and not is_loopback(f"{url.hostname}:{url.port or 80}")
    ):
        yield Fault(key=f"{key}.url", value=upstream.url, allowed="give https, or set allow_plain")
    if upstream.prefix is None and not upstream.hosts and upstream.protocol != "connect":
        yield Fault(
            key=f"{key}.prefix", value=None, allowed="give a path prefix such as /mcp/crm, or hosts"
        )
    if upstream.prefix is not None and not _is_prefix(upstream.prefix, upstream.direction):
        yield Fault(
            key=f"{key}.prefix",
            value=upstream.prefix,
            allowed="give /segments of letters, digits, . _ ~ - without a trailing /; "
            "/.outrider is reserved; / alone, for everything, goes with direction ingress",
        )
    if upstream.credential is not None and upstream.credential not in settings.credentials:
        yield Fault(
            key=f"{key}.credential",
            value=upstream.credential,
            allowed=f"give one of credentials: {', '.join(settings.credentials) or '(none set)'}",
        )
    for network in upstream.networks:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            yield Fault(
                key=f"{key}.networks", value=network, allowed="give a CIDR such as 10.0.0.0/8"
            )


def _is_prefix(prefix: str, direction: str) -> bool:
    if prefix == "/":
        return direction == "ingress"
    return bool(_PREFIX.fullmatch(prefix)) and not prefix.startswith("/.outrider")


def _agent_credentials(settings: Settings) -> Iterator[Fault]:
    for name in settings.agent_credentials:
        if name in _FRAMING or name.startswith(("mcp-", "outrider-")):
            yield Fault(
                key="agent_credentials",
                value=name,
                allowed="give headers that carry credentials; requests cannot do without this",
            )


def _credentials(settings: Settings) -> Iterator[Fault]:
    known = ", ".join(settings.upstreams) or "(none set)"
    for name, credential in settings.credentials.items():
        for upstream in credential.upstreams:
            if upstream not in settings.upstreams:
                yield Fault(
                    key=f"credentials.{name}.upstreams",
                    value=upstream,
                    allowed=f"give one of upstreams: {known}",
                )


def _policy(settings: Settings) -> Iterator[Fault]:
    opa = settings.policy.opa
    if settings.policy.engine == "opa" and opa.mode == "remote":
        yield from remote_faults(settings)
    if settings.policy.engine == "opa" and opa.mode == "socket" and opa.socket is None:
        yield Fault(key="policy.opa.socket", value=None, allowed="give the path of OPA's socket")
    if settings.tasks.life_s > settings.tasks.max_life_s:
        yield Fault(
            key="tasks.life_s",
            value=settings.tasks.life_s,
            allowed=f"give at most tasks.max_life_s, {settings.tasks.max_life_s}",
        )


def _tracing(settings: Settings) -> Iterator[Fault]:
    tracing = settings.telemetry.tracing
    if tracing.endpoint is None:
        return
    key, url = "telemetry.tracing.endpoint", split_url(tracing.endpoint)
    bare = url is not None and url.path in {"", "/"} and not url.query and "@" not in url.netloc
    if url is None or not bare or url.port is None:
        allowed = "give https://host:port of a collector, and no more"
        yield Fault(key=key, value=tracing.endpoint, allowed=allowed)
    elif url.scheme == "http" and not (
        tracing.allow_plain or url.hostname in {"localhost", "127.0.0.1", "::1"}
    ):
        allowed = "give https, or set telemetry.tracing.allow_plain"
        yield Fault(key=key, value=tracing.endpoint, allowed=allowed)


def split_url(text: str) -> SplitResult | None:
    """`text` in its parts where it is an http(s) URL with a host and, if any, a port there is."""
    if not _URL.fullmatch(text):
        return None
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
        if "[" in url.netloc:
            ipaddress.IPv6Address(host.replace("%", "/"))  # a scope names an interface of ours
        elif not _NAME.fullmatch(host):
            return None
    except ValueError:
        return None
    return url if port is None or port > 0 else None


def split_address(address: str) -> tuple[str, int] | None:
    """`host:port` or `[v6]:port` as its parts, or None where it is neither."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or len(port) > _PORT_DIGITS:
        return None
    if int(port) > 65535:
        return None
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        return None
    return bare, int(port)


def is_loopback(address: str) -> bool:
    """Whether `host:port` names this machine alone."""
    split = split_address(address)
    if split is None:
        return address.rpartition(":")[0] in _LOOPBACK_NAMES
    return ipaddress.ip_address(split[0]).is_loopback
