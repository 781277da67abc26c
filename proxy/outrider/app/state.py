"""What outlives a reload: keys, the audit chain, the store, and the tables kept in it."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from outrider import __version__
from outrider.audit.inputs import InputStore
from outrider.audit.log import Bounds, FileAuditLog
from outrider.audit.sinks.file import FileSink
from outrider.config.load import Loaded
from outrider.config.store_checks import redis_url
from outrider.core.errors import ConfigError, StoreUnavailableError
from outrider.core.ports import Clock, States
from outrider.core.secret import Secret
from outrider.protocols.adapters.mcp.seal import Seals
from outrider.protocols.pins import PinTable
from outrider.protocols.sessions import SessionTable
from outrider.server.dns import Lookup
from outrider.stores.counted import CountedStates
from outrider.stores.keyfile import own_secret, read_password, read_secret
from outrider.stores.memory import MemoryStates, MemoryStore
from outrider.stores.redis_link import RedisLink, RedisPlace
from outrider.stores.redis_states import RedisStates
from outrider.stores.sqlite import SqliteStore
from outrider.stores.sqlite_file import SqliteFile
from outrider.stores.sqlite_states import SqliteStates
from outrider.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Opened once, closed last. `token` is the operator's; `inputs_key` opens stored inputs;
    `stored` is whether everything that keeps state answered last."""

    key: Secret
    inputs_key: Secret
    token: Secret
    audit: FileAuditLog
    store: MemoryStore | SqliteStore
    states: States
    stored: Callable[[], bool]
    pins: PinTable
    sessions: SessionTable
    seals: Seals


async def open_state(
    loaded: Loaded, clock: Clock, metrics: Metrics, stack: AsyncExitStack, *, unproven: Lookup
) -> State:
    """Open everything; `stack` closes it. A server without TLS is found by `unproven`. Raises
    `ConfigError` and `EnforcementError`s of the log and the store, naming what cannot be used."""
    key = await asyncio.to_thread(own_secret, loaded.data("keys/sidecar.key"))
    inputs_key = await asyncio.to_thread(own_secret, loaded.data("keys/inputs.key"))
    token = await asyncio.to_thread(_token, loaded)
    audit = await _open_audit(loaded, clock, metrics, inputs_key)
    stack.push_async_callback(audit.close)
    store, bare, stored = await _open_store(loaded, clock, stack, unproven)
    kind = loaded.settings.stores.kind
    metrics.store_opened(kind)
    states = CountedStates(bare, counted=partial(metrics.store_operation, kind))
    pins, sessions = PinTable(), SessionTable()
    pins.load(await store.items("pins"))
    sessions.load(await store.items("mcp_sessions"))
    return State(
        key=key,
        inputs_key=inputs_key,
        token=token,
        audit=audit,
        store=store,
        states=states,
        stored=stored,
        pins=pins,
        sessions=sessions,
        seals=Seals(key=key.reveal()[:32], clock=clock),
    )


def _token(loaded: Loaded) -> Secret:
    named = loaded.settings.control.token_file
    if named:
        return Secret(read_secret(loaded.path(named)).reveal().strip())
    return own_secret(loaded.data("control.token"), text=True)


async def _open_audit(
    loaded: Loaded, clock: Clock, metrics: Metrics, inputs_key: Secret
) -> FileAuditLog:
    settings = loaded.settings
    directory = loaded.data(settings.audit.path)
    inputs = None
    if settings.audit.inputs == "store":
        inputs = InputStore(
            directory=directory / "inputs",
            key=inputs_key,
            limit_bytes=settings.audit.inputs_bytes,
        )
    audit = FileAuditLog(
        sink=FileSink(directory=directory, file_bytes=settings.audit.file_bytes),
        sidecar=settings.identity.spiffe_id or "outrider",
        clock=clock,
        metrics=metrics,
        bounds=Bounds(queue=settings.limits.audit_queue),
        inputs=inputs,
    )
    await audit.start({"version": __version__, "profile": settings.profile.value})
    return audit


async def _open_store(
    loaded: Loaded, clock: Clock, stack: AsyncExitStack, unproven: Lookup
) -> tuple[MemoryStore | SqliteStore, States, Callable[[], bool]]:
    settings = loaded.settings.stores
    if settings.kind == "memory":
        memory = MemoryStore()
        return memory, MemoryStates(clock=clock, rows=settings.rows), memory.healthy
    file = SqliteFile(path=loaded.data(settings.path))
    stack.push_async_callback(file.close)
    await file.start()
    if settings.kind == "sqlite":
        states = SqliteStates(file, clock=clock, rows=settings.rows)
        return SqliteStore(file), states, file.healthy
    place = await asyncio.to_thread(_redis_place, loaded, unproven)
    link = RedisLink(place, timeout_s=settings.redis.timeout_ms / 1000)
    stack.push_async_callback(link.close)
    shared = RedisStates(
        link,
        prefix=settings.redis.prefix,
        rows=settings.rows,
        replicas=settings.redis.replicas,
        replicas_timeout_ms=max(1, settings.redis.timeout_ms // 2),
    )
    return SqliteStore(file), shared, lambda: file.healthy() and link.healthy()


def _redis_place(loaded: Loaded, unproven: Lookup) -> RedisPlace:
    """Where the shared server is. Raises `ConfigError` for a password that cannot be read."""
    redis = loaded.settings.stores.redis
    url = redis_url(redis.url or "")
    if url is None:
        raise ConfigError("stores.redis.url is missing; give the server's URL")
    ca_file = None if redis.ca_file is None else str(loaded.path(redis.ca_file))
    named = redis.password_file
    return RedisPlace(
        host=url.host,
        port=url.port,
        path=url.path,
        database=url.database,
        tls=ssl.create_default_context(cafile=ca_file) if url.tls else None,
        username=redis.username,
        password=None if named is None else read_password(loaded.path(named)),
        lookup=unproven,
    )


def of_the_store(loaded: Loaded, fault: StoreUnavailableError) -> ConfigError:
    """`fault`, as whoever starts the sidecar can act on it: which store, and in whose words."""
    stores = loaded.settings.stores
    if stores.kind != "redis":
        return ConfigError(f"stores.path {loaded.data(stores.path)}: {fault.detail}")
    why = fault.__cause__
    said = f" ({why.strerror or why})" if isinstance(why, OSError) else f" ({why})" if why else ""
    return ConfigError(f"stores.redis.url {stores.redis.url}: {fault.detail}{said}")
