"""Policy's parts, as the settings name them: engine, gate, keeper, decision point."""

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from outrider.app.delivery import keys_for_opa, ledger_of, source_at_rest, source_of
from outrider.app.identity import OwnIdentity
from outrider.config.load import Loaded, cache_dir
from outrider.config.paths import shipped_rego
from outrider.config.policy_settings import OpaSettings
from outrider.control.opa_bundle import serve_alone
from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError
from outrider.core.exchange import TlsPeer
from outrider.core.ports import Clock
from outrider.core.secret import Secret
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.snapshot import Snapshot
from outrider.policy.engines.embedded import EmbeddedEngine
from outrider.policy.engines.opa import OpaEngine, OpaLimits, OpaLink, OthersLink
from outrider.policy.gate import LoadGate, shipped_gate
from outrider.policy.keeper import PolicyKeeper, ReleaseEngine
from outrider.policy.opa_bundles import BundleFeed, BundleSource
from outrider.policy.opa_child import GOGC, ChildPlan, OpaChild
from outrider.policy.opa_door import UnixDoor
from outrider.policy.opa_install import OpaBinary, OpaPlaces, find
from outrider.policy.opa_remote import OpaTls, RemoteDoor
from outrider.policy.pdp import DecisionEvents, DecisionLimits, PolicyDecisionPoint
from outrider.policy.query import QueryBuilder
from outrider.server.jobs import Jobs
from outrider.telemetry.metrics import Metrics


def opa_places(loaded: Loaded, environ: Mapping[str, str]) -> OpaPlaces:
    opa = loaded.settings.policy.opa
    return OpaPlaces(
        cache=cache_dir(environ),
        search_path=environ.get("PATH", ""),
        binary=loaded.path(opa.binary) if opa.binary else None,
        sha256=opa.sha256,
    )


def feed_of(loaded: Loaded, origin: Callable[[], str]) -> BundleFeed | None:
    """What the OPA that we supervise is fed, from the listener at `origin`; None without one."""
    policy = loaded.settings.policy
    supervised = policy.engine == "opa" and policy.opa.mode == "child"
    return _new_feed(origin) if supervised else None


def engine_of(
    loaded: Loaded,
    environ: Mapping[str, str],
    clock: Clock,
    metrics: Metrics,
    feed: BundleFeed | None,
    identity: OwnIdentity | None = None,
) -> EmbeddedEngine | OpaEngine:
    """Blocking: looks for OPA. Raises `ConfigError` saying where it looked.

    `identity` is what an OPA in mode `remote` is asked under; there the engine renews its
    connections whenever that changes.
    """
    policy = loaded.settings.policy
    if policy.engine == "embedded":
        return EmbeddedEngine(clock=clock, entrypoint=policy.entrypoint)
    link: OpaLink
    if feed is not None:
        binary = find(opa_places(loaded, environ))
        link = OpaChild(
            plan=ChildPlan(
                binary=binary,
                system=shipped_rego() / "system",
                keys=keys_for_opa(loaded),
                scope=policy.signature.scope,
            ),
            feed=feed,
            clock=clock,
            started=lambda limit: metrics.engine_child(
                version=binary.version, gogc=GOGC, memory_limit_bytes=limit
            ),
        )
    elif policy.opa.mode == "remote":
        link = OthersLink(_remote_door(policy.opa, clock, metrics, identity))
    else:
        link = OthersLink(UnixDoor(Path(policy.opa.socket or "")))
    engine = OpaEngine(
        link=link,
        clock=clock,
        entrypoint=policy.entrypoint,
        limits=OpaLimits(connections=policy.opa.connections),
        on_up=lambda up: metrics.engine_is("opa", up=up),
    )
    if policy.opa.mode == "remote" and identity is not None:
        renew_with(identity.keeper, engine.renew)
    return engine


def _remote_door(
    opa: OpaSettings, clock: Clock, metrics: Metrics, identity: OwnIdentity | None
) -> RemoteDoor:
    """Raises `ConfigError` where there is no source of an identity."""
    if identity is None:
        raise ConfigError("policy.opa.mode is remote; give identity.source workload_api or files")
    context = identity.client_context(opa.expect)

    def holds(tls: ssl.SSLObject) -> bool:
        peer = getattr(tls, "spiffe_peer", None)
        if not isinstance(peer, TlsPeer) or not identity.own_holds():
            return False
        if identity.holds(peer):
            return True
        late = clock.unix_s() >= peer.expires_unix_s
        metrics.revalidation_failed("expired" if late else "withdrawn")
        return False

    return RemoteDoor(url=opa.url or "", tls=OpaTls(context=context, holds=holds), clock=clock)


def renew_with(identity: IdentityKeeper, renew: Callable[[], None]) -> None:
    """Call `renew` whenever our SVID or what it trusts changes, and when our SVID has run out."""
    seen = identity.snapshot().generation

    def changed(snapshot: Snapshot) -> None:
        nonlocal seen
        if snapshot.generation != seen or identity.own() is None:
            seen = snapshot.generation
            renew()

    identity.tell(changed)


@asynccontextmanager
async def opa_alone(binary: OpaBinary, clock: Clock, entrypoint: str) -> AsyncIterator[OpaEngine]:
    """The engine of an OPA run for this once, with no sidecar around it."""
    origins: list[str] = []
    feed = _new_feed(lambda: origins[0])
    child = OpaChild(
        plan=ChildPlan(binary=binary, system=shipped_rego() / "system"), feed=feed, clock=clock
    )
    engine = OpaEngine(link=child, clock=clock, entrypoint=entrypoint)
    async with AsyncExitStack() as stack:
        origins.append(await serve_alone(stack, feed))
        jobs = await stack.enter_async_context(Jobs())
        jobs.start("opa", engine.run())
        yield engine


def _new_feed(origin: Callable[[], str]) -> BundleFeed:
    token = Secret(secrets.token_urlsafe(32))
    return BundleFeed(source=BundleSource(), token=token, origin=origin)


def keeper_of(
    loaded: Loaded,
    engine: ReleaseEngine,
    clock: Clock,
    on_refused: Callable[[str], None] = lambda _stage: None,
) -> PolicyKeeper:
    """Blocking: reads the language of the library that ships."""
    policy = loaded.settings.policy
    rehearsal = None
    if isinstance(engine, OpaEngine):
        rehearsal = EmbeddedEngine(clock=clock, entrypoint=policy.entrypoint)
    return PolicyKeeper(
        source=source_of(loaded),
        engine=engine,
        gate=_gate(policy.entrypoint),
        clock=clock,
        entrypoint=policy.entrypoint,
        max_staleness_s=policy.max_staleness_s or 0,
        rehearsal=rehearsal,
        ledger=ledger_of(loaded),
        on_refused=on_refused,
    )


def _gate(entrypoint: str) -> LoadGate:
    return shipped_gate(shipped_rego(), entrypoint)


async def rehearse(loaded: Loaded) -> None:
    """Load, check and try the policy as a start would, with no engine but our own: where it is
    fetched, the bundle that was fetched last. Nothing is remembered of it. Raises `ConfigError`.
    """
    clock = SystemClock()
    policy = loaded.settings.policy
    engine = EmbeddedEngine(clock=clock, entrypoint=policy.entrypoint)
    keeper = PolicyKeeper(
        source=await asyncio.to_thread(source_at_rest, loaded),
        engine=engine,
        gate=await asyncio.to_thread(_gate, policy.entrypoint),
        clock=clock,
        entrypoint=policy.entrypoint,
    )
    await keeper.reload()


def decider_of(
    loaded: Loaded, keeper: PolicyKeeper, clock: Clock, events: DecisionEvents
) -> PolicyDecisionPoint:
    settings = loaded.settings
    return PolicyDecisionPoint(
        holder=keeper,
        builder=QueryBuilder(
            clock=clock,
            environment=settings.environment,
            arguments_bytes=settings.limits.policy_arguments_bytes,
            query_bytes=settings.policy.query_bytes,
        ),
        limits=DecisionLimits(
            entrypoint=settings.policy.entrypoint,
            timeout_s=settings.policy.timeout_ms / 1000,
            list_timeout_s=settings.policy.list_timeout_ms / 1000,
        ),
        clock=clock,
        events=events,
    )
