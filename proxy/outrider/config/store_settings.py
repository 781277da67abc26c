"""Settings of where state is kept that outlives a request."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Redis:
    """A Redis or Valkey server that several sidecars share."""

    url: str | None = None
    """`rediss://host:port/0` (TLS), `redis://host:port/0`, or `unix:///path`. Without userinfo: a
    URL is shown and logged."""
    ca_file: str | None = None
    """PEM file of the CA certificates that are trusted for it, with rediss; default: the system's.
    """
    allow_plain: bool = False
    """Let redis without TLS be used beyond loopback: whoever is on the way reads and writes what
    tasks did, and the password."""
    username: Annotated[str, Field(pattern=r"^[!-~]{1,128}$")] | None = None
    """The server's user (ACL); default: its default user. It needs GET, SET, HGET, HSET, DEL,
    PERSIST, PEXPIRE, ZADD, ZREM, ZCOUNT, ZRANGE, ZREMRANGEBYSCORE, TIME, EVAL, EVALSHA, PING,
    and with `replicas` WAIT, on keys that begin with `prefix`."""
    password_file: str | None = None
    """File of its password (0600)."""
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")] = "outrider"
    """What its keys begin with. Sidecars that name the same server and prefix share their tasks,
    budgets and quarantine: keep apart what must not meet."""
    timeout_ms: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Within which it must answer; else the exchange is refused with `store_unavailable`."""
    replicas: Annotated[int, Field(ge=0, le=16)] = 0
    """So many replicas must have what must not be lost (tasks, quarantine) before it counts as
    written. What survives a crash of the server itself is what it was set to keep: give it
    `appendonly yes`, and `appendfsync always` where no second may be lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    kind: Literal["memory", "sqlite", "redis"] = "sqlite"
    """Where tasks, their budgets and what they did are kept. `sqlite`: in `path`, for this sidecar
    alone; `redis`: shared by all sidecars that name the same server; `memory`: lost with the
    process. Pins and sessions are in `path` unless it is `memory`."""
    path: str = "outrider.db"
    """File of the store, under `data_dir` if relative. No two sidecars may share one."""
    redis: Redis = field(default_factory=Redis)
    """The server, for kind `redis`."""
    rows: Annotated[int, Field(ge=100, le=16_000)] = 10_000
    """Documents that each table may hold: tasks under way, agents that are remembered. A full one
    refuses further ones with `store_unavailable`. Sidecars that share a store give the same."""
    on_loss: Literal["refuse", "read"] = "refuse"
    """While the store cannot be asked: `refuse` every call, or let those of class `read` go on by
    what was last known. Never more."""
