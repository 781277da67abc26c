"""`States` over Redis or Valkey, shared by every sidecar that names the same server and prefix.

Laws: a swap is one script, so it is done whole or not at all; an error we do not know may have left
something done; every script names the epoch its caller has seen, so a server that came back without
what it held is noticed before anything is read or written (cause `wiped`).

Keys: `<prefix>:{<table>}:k:<key>` (a hash: v the version, d the value), `…:index` (a sorted set of
keys by the end of their life), `…:epoch`. All keys of a table share a hash slot.
"""

import hashlib
import secrets
from typing import Final

from outrider.core.errors import StoreUnavailableError
from outrider.core.ports import Held
from outrider.stores.redis_link import UNKNOWN, RedisLink
from outrider.stores.resp import Reply, ServerError
from outrider.stores.tables import STATE_BYTES, checked_key, checked_state, checked_value

WIPED: Final = "wiped"
_PAGE: Final = 64

_EPOCH: Final = b"""
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
"""
_READ: Final = b"""
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return -1 end
local version = redis.call('HGET', KEYS[1], 'v')
if not version then return 0 end
if version == ARGV[2] then return tonumber(version) end
return {tonumber(version), redis.call('HGET', KEYS[1], 'd')}
"""
# The first write is one that a server short of memory refuses: after another it would take it.
# KEYS: row, epoch, index.
# ARGV: epoch, expected, key, life in ms ('' for ever), rows, value (absent: delete).
_SWAP: Final = b"""
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return -1 end
local version = redis.call('HGET', KEYS[1], 'v') or '0'
if version ~= ARGV[2] then
  if version == '0' then return {0, ''} end
  return {tonumber(version), redis.call('HGET', KEYS[1], 'd')}
end
if not ARGV[6] then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[3], ARGV[3])
  return 1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if version == '0' then
  local alive = redis.call('ZCOUNT', KEYS[3], '(' .. string.format('%.0f', now), '+inf')
  if alive >= tonumber(ARGV[5]) then return -2 end
end
redis.call('HSET', KEYS[1], 'v', string.format('%.0f', ARGV[2] + 1), 'd', ARGV[6])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
if ARGV[4] == '' then
  redis.call('PERSIST', KEYS[1])
  redis.call('ZADD', KEYS[3], '+inf', ARGV[3])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  redis.call('ZADD', KEYS[3], now + ARGV[4], ARGV[3])
end
return 1
"""
_DIGESTS: Final = {
    script: hashlib.sha1(script, usedforsecurity=False).hexdigest().encode()
    for script in (_EPOCH, _READ, _SWAP)
}
_UNTOUCHED: Final = frozenset(
    {"LOADING", "READONLY", "OOM", "MISCONF", "NOAUTH", "NOPERM", "WRONGPASS", "MASTERDOWN", "BUSY"}
    | {"MOVED", "ASK", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS"}
)
"""Errors a server gives before a script did anything."""
_ELSEWHERE: Final = frozenset({"READONLY", "MASTERDOWN", "LOADING"})


class RedisStates:
    """`core.ports.States` over `link`.

    What outlives a crash of the server is what the server was set to keep; with `replicas` a
    durable swap is answered once so many replicas have it, else it is `unknown`.
    """

    def __init__(
        self,
        link: RedisLink,
        *,
        prefix: str = "outrider",
        rows: int = 10_000,
        value_bytes: int = STATE_BYTES,
        replicas: int = 0,
        replicas_timeout_ms: int = 1_000,
    ) -> None:
        self._link = link
        self._prefix = prefix
        self._rows = b"%d" % rows
        self._value_bytes = value_bytes
        self._wait = (b"WAIT", b"%d" % replicas, b"%d" % replicas_timeout_ms)
        self._replicas = replicas
        self._epochs: dict[str, bytes] = {}
        self._losses: dict[str, int] = {}

    @property
    def shared(self) -> bool:
        return True

    def losses(self, table: str) -> int:
        """How often the server was found to have lost what `table` held."""
        return self._losses.get(table, 0)

    def healthy(self) -> bool:
        """True while the last command was answered."""
        return self._link.healthy()

    async def read(self, table: str, key: str, known: int = 0) -> Held | None:
        epoch = await self._epoch(checked_state(table))
        keys = (self._row(table, checked_key(key)), self._name(table, "epoch"))
        (reply,) = await self._run(_READ, keys, (epoch, b"%d" % known), again=True)
        match reply:
            case 0:
                return None
            case int() if reply > 0:
                return Held(version=reply, value=b"")
            case [int() as version, bytes() as value]:
                return Held(version=version, value=value)
            case _:
                raise self._refusal(table, reply)

    async def swap(
        self,
        table: str,
        key: str,
        expected: int,
        value: bytes | None,
        *,
        life_s: int | None = None,
        durable: bool = False,
    ) -> Held | None:
        checked_value(value, self._value_bytes)
        epoch = await self._epoch(checked_state(table))
        keys = (
            self._row(table, checked_key(key)),
            self._name(table, "epoch"),
            self._name(table, "index"),
        )
        life = b"" if life_s is None else b"%d" % (life_s * 1000)
        row = () if value is None else (value,)
        values = (epoch, b"%d" % expected, key.encode(), life, self._rows, *row)
        then = (self._wait,) if durable and self._replicas else ()
        reply, *after = await self._run(_SWAP, keys, values, *then)
        match reply:
            case 1:
                self._check_replicas(after)
                return None
            case [int() as version, bytes() as stands]:
                return Held(version=version, value=stands)
            case -2:
                raise StoreUnavailableError("the table is full", cause="full")
            case _:
                raise self._refusal(table, reply)

    async def items(self, table: str) -> dict[str, Held]:
        found: dict[str, Held] = {}
        # The keys in one piece: between two pages a row could slip through.
        index = await self._link.call(
            b"ZRANGE", self._name(checked_state(table), "index"), b"0", self._rows, again=True
        )
        if not isinstance(index, list):
            raise self._refusal(table, index)
        keys = [raw.decode() for raw in index if isinstance(raw, bytes)]
        for start in range(0, len(keys), _PAGE):
            page = keys[start : start + _PAGE]
            for key, reply in zip(page, await self._read_all(table, page), strict=True):
                match reply:
                    case [int() as version, bytes() as value]:
                        found[key] = Held(version=version, value=value)
                    case 0:
                        continue  # its life ended meanwhile
                    case _:
                        raise self._refusal(table, reply)
        return found

    async def _read_all(self, table: str, keys: list[str]) -> list[Reply]:
        """The rows of `keys`, asked for in one piece."""
        epoch, name = await self._epoch(table), self._name(table, "epoch")
        first, *rest = [(self._row(table, key), name) for key in keys]
        # After the first the script is known.
        replies = await self._run(_READ, first, (epoch, b"0"), again=True)
        digest = _DIGESTS[_READ]
        asked = tuple((b"EVALSHA", digest, b"2", *names, epoch, b"0") for names in rest)
        return replies + (await self._link.calls(asked, again=True) if asked else [])

    async def _epoch(self, table: str) -> bytes:
        """What tells this server's state from one that began anew."""
        seen = self._epochs.get(table)
        if seen is not None:
            return seen
        fresh = secrets.token_hex(16).encode()
        (reply,) = await self._run(_EPOCH, (self._name(table, "epoch"),), (fresh,), again=True)
        if not isinstance(reply, bytes):
            raise self._refusal(table, reply)
        return self._epochs.setdefault(table, reply)

    async def _run(
        self,
        script: bytes,
        keys: tuple[bytes, ...],
        values: tuple[bytes, ...],
        *then: tuple[bytes, ...],
        again: bool = False,
    ) -> list[Reply]:
        asked = (b"EVALSHA", _DIGESTS[script], b"%d" % len(keys), *keys, *values)
        replies = await self._link.calls((asked, *then), again=again)
        if isinstance(replies[0], ServerError) and replies[0].code == "NOSCRIPT":
            # It was not carried out: the server does not know the script yet.
            asked = (b"EVAL", script, b"%d" % len(keys), *keys, *values)
            replies = await self._link.calls((asked, *then), again=again)
        return replies

    def _check_replicas(self, after: list[Reply]) -> None:
        for reply in after:
            if not isinstance(reply, int) or reply < self._replicas:
                raise StoreUnavailableError("too few replicas have it", cause=UNKNOWN)

    def _refusal(self, table: str, reply: Reply) -> StoreUnavailableError:
        if reply == -1:
            if self._epochs.pop(table, None) is not None:
                self._losses[table] = self.losses(table) + 1
            return StoreUnavailableError("the store has lost what it held", cause=WIPED)
        if isinstance(reply, ServerError) and reply.code in _UNTOUCHED:
            if reply.code in _ELSEWHERE:
                self._link.drop()  # its name may stand for another server by now
            return StoreUnavailableError("the store refused", cause="refused")
        return StoreUnavailableError("the store's answer cannot be read", cause=UNKNOWN)

    def _row(self, table: str, key: str) -> bytes:
        return f"{self._prefix}:{{{table}}}:k:{key}".encode()

    def _name(self, table: str, name: str) -> bytes:
        return f"{self._prefix}:{{{table}}}:{name}".encode()
