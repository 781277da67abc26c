"""What outlives a reload: keys, the audit chain, the store, and the tables kept in it."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from outrider import __version__
from outrider.audit.inputs import InputStore
from outrider.audit.log import Bounds, FileAuditLog
from outrider.audit.sinks.file import FileSink
from outrider.config.load import Loaded
from outrider.core.ports import Clock, States
from outrider.core.secret import Secret
from outrider.protocols.adapters.mcp.seal import Seals
from outrider.protocols.pins import PinTable
from outrider.protocols.sessions import SessionTable
from outrider.stores.keyfile import own_secret, read_secret
from outrider.stores.memory import MemoryStates, MemoryStore
from outrider.stores.sqlite import SqliteStore
from outrider.stores.sqlite_file import SqliteFile
from outrider.stores.sqlite_states import SqliteStates
from outrider.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Opened once, closed last. `token` is the operator's; `inputs_key` opens stored inputs."""

    key: Secret
    inputs_key: Secret
    token: Secret
    audit: FileAuditLog
    store: MemoryStore | SqliteStore
    states: States
    pins: PinTable
    sessions: SessionTable
    seals: Seals


async def open_state(
    loaded: Loaded, clock: Clock, metrics: Metrics, stack: AsyncExitStack
) -> State:
    """Open everything; `stack` closes it. Raises `ConfigError` and `EnforcementError`s of the
    log and the store, naming what cannot be used."""
    key = await asyncio.to_thread(own_secret, loaded.data("keys/sidecar.key"))
    inputs_key = await asyncio.to_thread(own_secret, loaded.data("keys/inputs.key"))
    token = await asyncio.to_thread(_token, loaded)
    audit = await _open_audit(loaded, clock, metrics, inputs_key)
    stack.push_async_callback(audit.close)
    store, states = await _open_store(loaded, clock, stack)
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
    loaded: Loaded, clock: Clock, stack: AsyncExitStack
) -> tuple[MemoryStore | SqliteStore, States]:
    if loaded.settings.stores.kind == "memory":
        return MemoryStore(), MemoryStates(clock=clock)
    file = SqliteFile(path=loaded.data(loaded.settings.stores.path))
    await file.start()
    stack.push_async_callback(file.close)
    return SqliteStore(file), SqliteStates(file, clock=clock)
