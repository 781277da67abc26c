"""What one version of the settings makes of the data plane; a reload makes it anew, whole."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from outrider.app.identity import OwnIdentity
from outrider.config.checks import is_loopback
from outrider.config.limit_settings import Limits
from outrider.config.load import Loaded
from outrider.config.settings import Settings
from outrider.config.tunnel_checks import tunnel_place
from outrider.config.upstream_settings import Upstream
from outrider.core.exchange import Exchange, Reply, RequestHead
from outrider.core.ports import Clock, CredentialProvider, Route
from outrider.core.secret import Secret
from outrider.core.spans import Place
from outrider.core.strict_json import JsonLimits
from outrider.core.vocabulary import Direction, ProtocolName
from outrider.credentials.providers.file import FileProvider
from outrider.pipeline.enforcer import Enforcer
from outrider.pipeline.hygiene import CREDENTIAL_HEADERS
from outrider.pipeline.routing import NO_ROUTES, RouteTable
from outrider.protocols.adapters.connect import ConnectAdapter
from outrider.protocols.adapters.http import HttpAdapter, HttpLimits
from outrider.protocols.adapters.mcp.adapter import McpAdapter
from outrider.protocols.gate import GateRules, RouteRules
from outrider.server.dns import Lookup, Resolver, absolute, system_lookup
from outrider.server.edge import GateRefusal
from outrider.server.events import EdgeEvents
from outrider.server.origin import Origin, origin_of, pool_limits
from outrider.server.pool import PoolParts, UpstreamPool, no_one_holds
from outrider.server.wheel import Wheel

_NO_ROUTE: Final = RouteRules()
_PORTS: Final = {"http": 80, "https": 443}


def routes_of(settings: Settings, direction: Direction = Direction.EGRESS) -> RouteTable:
    """A route for each prefix and each host of each upstream of `direction`, and of no other."""
    routes: list[Route] = []
    for name, upstream in settings.upstreams.items():
        if upstream.direction != direction.value:
            continue
        if upstream.protocol == "connect":
            routes.append(_tunnel_route(name, upstream))
            continue
        places = [(upstream.prefix, None)] if upstream.prefix else []
        for prefix, host in [*places, *(("", host) for host in upstream.hosts)]:
            routes.append(
                Route(
                    name=name,
                    upstream=name,
                    protocol=ProtocolName(upstream.protocol),
                    prefix=(prefix or "").rstrip("/"),
                    host=host,
                    base_path=urlsplit(upstream.url).path.rstrip("/"),
                    options=upstream.mcp if upstream.protocol == "mcp" else upstream.http,
                )
            )
    return RouteTable(routes)


def _tunnel_route(name: str, upstream: Upstream) -> Route:
    return Route(
        name=name,
        upstream=name,
        protocol=ProtocolName.CONNECT,
        prefix="",
        host=tunnel_place(upstream),
        base_path="",
        options=None,
    )


def upstream_hosts(settings: Settings) -> dict[str, str]:
    """`host:port` of each upstream, as a destination is named to policy."""
    found: dict[str, str] = {}
    for name, upstream in settings.upstreams.items():
        url = urlsplit(upstream.url)
        port = url.port or (443 if url.scheme == "https" else 80)
        host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
        found[name] = f"{host}:{port}"
    return found


def places_of(settings: Settings) -> dict[str, Place]:
    """Where each upstream is, as its own setting has it."""
    places: dict[str, Place] = {}
    for name, upstream in settings.upstreams.items():
        url = urlsplit(upstream.url)
        port = url.port or _PORTS.get(url.scheme)
        if url.hostname and port is not None:
            places[name] = Place(address=url.hostname, port=port)
    return places


def pool_of(  # noqa: PLR0913 - one name for each collaborator
    loaded: Loaded,
    clock: Clock,
    wheel: Wheel,
    events: EdgeEvents,
    identity: OwnIdentity | None = None,
    instance: str | None = None,
    *,
    unproven: Lookup = system_lookup,
) -> UpstreamPool:
    """Blocking where an upstream brings CAs. Raises `ConfigError`.

    Upstreams that prove a SPIFFE ID take an `identity` of ours, and are told our `instance`. What
    proves nothing to us, by a tunnel or without TLS, is found by `unproven`.
    """
    settings = loaded.settings
    ttl_s = settings.limits.dns_ttl_s
    return UpstreamPool(
        origins=[
            _origin(name, upstream, loaded, identity, instance)
            for name, upstream in settings.upstreams.items()
            if upstream.protocol != "connect"
        ],
        tunnels=[
            _tunnel_origin(name, upstream)
            for name, upstream in settings.upstreams.items()
            if upstream.protocol == "connect"
        ],
        parts=PoolParts(
            limits=pool_limits(settings.limits),
            clock=clock,
            wheel=wheel,
            events=events,
            resolver=Resolver(clock=clock, ttl_s=ttl_s),
            plain_resolver=Resolver(clock=clock, ttl_s=ttl_s, lookup=unproven),
            tunnel_resolver=Resolver(clock=clock, ttl_s=ttl_s, lookup=absolute(unproven)),
            holds=no_one_holds if identity is None else identity.holds,
        ),
    )


def _origin(
    name: str,
    upstream: Upstream,
    loaded: Loaded,
    identity: OwnIdentity | None,
    instance: str | None,
) -> Origin:
    spiffe = upstream.tls.spiffe
    if spiffe is None or identity is None:
        return origin_of(name, _placed(upstream, loaded))
    return origin_of(
        name,
        upstream,
        tls=identity.client_context(spiffe.expect),
        revision=str(identity.keeper.snapshot().generation),
        instance=instance,
    )


def _tunnel_origin(name: str, upstream: Upstream) -> Origin:
    """The place alone: TLS in a tunnel is the caller's own affair."""
    return origin_of(name, replace(upstream, url=f"http://{tunnel_place(upstream)}"))


def _placed(upstream: Upstream, loaded: Loaded) -> Upstream:
    """`upstream` with its CAs where they are for this process, wherever it was started."""
    if upstream.ca_file is None:
        return upstream
    return replace(upstream, ca_file=str(loaded.path(upstream.ca_file)))


def credential_headers(settings: Settings) -> frozenset[str]:
    """Every header in which an agent's own credentials would reach an upstream."""
    ours = {credential.header.lower() for credential in settings.credentials.values()}
    return CREDENTIAL_HEADERS | ours | {*settings.agent_credentials}


def providers_of(loaded: Loaded, key: Secret, clock: Clock) -> dict[str, CredentialProvider]:
    """Raises `ConfigError`."""
    return {
        name: FileProvider(
            name=name,
            credential=credential,
            profile=loaded.settings.profile,
            key=key,
            clock=clock,
            directory=loaded.base,
        )
        for name, credential in loaded.settings.credentials.items()
    }


def http_adapter(limits: Limits) -> HttpAdapter:
    return HttpAdapter(
        limits=HttpLimits(
            body_bytes=limits.body_bytes,
            opaque_bytes=limits.opaque_body_bytes,
            response_bytes=limits.response_bytes,
            request=JsonLimits(depth=limits.json_depth, nodes=limits.json_nodes),
            response=JsonLimits(depth=limits.json_depth, nodes=limits.response_nodes),
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPlane:
    """The enforcer of one version of the settings, and what must be closed after it. `routes` are
    those of egress."""

    loaded: Loaded
    routes: RouteTable
    pool: UpstreamPool
    enforcer: Enforcer
    ingress: RouteTable = NO_ROUTES


def gate_rules(loaded: Loaded, routes: RouteTable, ports: tuple[int, ...]) -> GateRules:
    """What the egress listener accepts: its own loopback names, and the hosts that are routed."""
    limits, listener = loaded.settings.limits, loaded.settings.listeners.egress
    own = {"localhost"} if listener.unix else set()
    for port in ports:
        own |= {f"127.0.0.1:{port}", f"[::1]:{port}", f"localhost:{port}"}
    for address in listener.addresses:
        if not is_loopback(address):
            own |= {f"{address.rpartition(':')[0]}:{port}" for port in ports}
    return GateRules(
        hosts=frozenset(own) | routes.hosts,
        origins=frozenset(f"http://{host}" for host in own),
        tunnels=routes.has_tunnels,
        route=_options(loaded, routes),
        head_fields=limits.head_fields,
        head_bytes=limits.head_bytes,
        path_bytes=limits.path_bytes,
        query_bytes=limits.query_string_bytes,
    )


def captured_rules(loaded: Loaded, routes: RouteTable) -> GateRules:
    """What connections may say that were redirected here: any valid Host, so that each is judged,
    and recorded where no route has it; none of our own names, so that nothing else is reached by
    going elsewhere. What a page's script may read of it is the browser's to say: the Host is the
    one that was called."""
    rules = gate_rules(loaded, routes, ())
    return replace(rules, hosts=routes.hosts, any_host=True, check_origin=False, tunnels=False)


def ingress_rules(loaded: Loaded, routes: RouteTable) -> GateRules:
    """What the ingress listener accepts of peers that proved who they are: any valid Host, since
    they call us by whatever name their settings give us and no browser has an SVID; no proxying."""
    limits = loaded.settings.limits
    return GateRules(
        hosts=routes.hosts,
        any_host=True,
        scheme="https",
        check_origin=False,
        absolute=False,
        instance=True,
        route=_options(loaded, routes),
        head_fields=limits.head_fields,
        head_bytes=limits.head_bytes,
        path_bytes=limits.path_bytes,
        query_bytes=limits.query_string_bytes,
    )


def _options(loaded: Loaded, routes: RouteTable) -> Callable[[str, str], RouteRules]:
    limits = loaded.settings.limits
    opted = {name: _opted(upstream, limits) for name, upstream in loaded.settings.upstreams.items()}

    def options(host: str, path: str) -> RouteRules:
        route = routes.find(host, path)
        return _NO_ROUTE if route is None else opted[route.upstream]

    return options


def _opted(upstream: Upstream, limits: Limits) -> RouteRules:
    http = upstream.http
    opaque = upstream.protocol == "http" and http.body == "opaque"
    return RouteRules(
        encoded_slash=http.encoded_slash,
        semicolon=http.semicolon,
        case_insensitive=http.case_insensitive,
        body_methods=frozenset(http.body_methods),
        gzip=not opaque,
        https=urlsplit(upstream.url).scheme == "https",
        body_bytes=limits.opaque_body_bytes if opaque else limits.body_bytes,
    )


class _NoBody:
    """The body of a request that was turned away before any of it was read."""

    async def read(self, limit_bytes: int) -> bytes:
        raise RuntimeError(f"nothing of the {limit_bytes} bytes is read")

    def stream(self, limit_bytes: int) -> AsyncIterator[bytes]:
        raise RuntimeError(f"nothing of the {limit_bytes} bytes is read")

    def release(self) -> None:
        return


def refuse_at_gate(enforcer: Enforcer, refusal: GateRefusal) -> Reply:
    """The answer to a request that the gate turned away, in words that fit its path."""
    exchange = Exchange(
        id=refusal.id,
        direction=refusal.direction,
        listener=refusal.listener,
        head=RequestHead(
            method=refusal.method or "",
            scheme="https" if refusal.direction is Direction.INGRESS else "http",
            host="",
            path=refusal.path or "",
            query="",
            headers=(),
        ),
        peer=refusal.peer,
        body=_NoBody(),
        trace=refusal.trace,
        started_s=refusal.started_s,
    )
    return enforcer.refuse_unread(exchange, refusal.error)


def adapters_of(
    limits: Limits, mcp: McpAdapter
) -> Mapping[ProtocolName, HttpAdapter | McpAdapter | ConnectAdapter]:
    return {
        ProtocolName.HTTP: http_adapter(limits),
        ProtocolName.MCP: mcp,
        ProtocolName.CONNECT: ConnectAdapter(limit_bytes=limits.tunnel_bytes),
    }
