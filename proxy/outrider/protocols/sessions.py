"""What must be remembered between the requests of one MCP client.

Laws (PROTOCOLS §4.11): a session belongs to the subject, upstream and route that opened it, and
to nobody else; an answer that a client posts must fit a request that was let through to it. All
of it is bounded; what was forgotten is unknown, and what is unknown is refused.

Stored under table `mcp_sessions`, one object a session: {subject, upstream, route, version}. The
key is a hash, so that the store holds no session id. Add, never repurpose.
"""

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from outrider.core.jsonvalue import JsonObject, digest
from outrider.core.ports import Persist, Step
from outrider.protocols.wire.jsonrpc import RpcId

TABLE: Final = "mcp_sessions"
_PENDING: Final = 256
_EVENTS: Final = 256
_KINDS: Final = 16
NAMES_MAX: Final = 20_000
"""Names of one listing that are kept for one client."""

ScopeKey: TypeAlias = str | tuple[str, str, str]
"""A session's key, or (upstream, route, subject) of a caller that speaks without a session."""

K = TypeVar("K")
V = TypeVar("V")


class Bounded(Generic[K, V]):
    """A mapping that forgets what was used longest ago."""

    __slots__ = ("_items", "_limit")

    def __init__(self, limit: int) -> None:
        self._items: OrderedDict[K, V] = OrderedDict()
        self._limit = limit

    def get(self, key: K) -> V | None:
        found = self._items.get(key)
        if found is not None:
            self._items.move_to_end(key)
        return found

    def put(self, key: K, value: V) -> tuple[K, V] | None:
        """Keep `value`; returns what had to go for it."""
        self._items[key] = value
        self._items.move_to_end(key)
        return self._items.popitem(last=False) if len(self._items) > self._limit else None

    def pop(self, key: K) -> V | None:
        return self._items.pop(key, None)

    def oldest(self) -> V:
        """Take out what was used longest ago. Raises `KeyError` where there is nothing."""
        return self._items.popitem(last=False)[1]

    def __len__(self) -> int:
        return len(self._items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A legacy session and the only caller it serves. `key` is its hash, not its id."""

    key: str
    subject: str
    upstream: str
    route: str
    version: str


@dataclass(slots=True, kw_only=True)
class Seen:
    """The names a client's last listing of one kind held: shown to it, and withheld from it.

    `cursor` names the page that comes next; any other page was read before or out of turn.
    `pages` counts what the sidecar read in turn; from `given_up_s` on (monotonic) it reads no
    more for a while, since the list has no end that it would reach. `withheld` are those of
    `shown` that policy would show, but whose definition a person has not accepted. What was read
    before the upstream's latest change, or under another `generation`, is outdated.
    """

    shown: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    withheld: set[str] = field(default_factory=set)
    generation: int = 0
    whole: bool = False
    cursor: str | None = None
    pages: int = 0
    given_up_s: float | None = None

    def knows(self, name: str) -> bool:
        return name in self.shown or name in self.hidden

    @property
    def names(self) -> int:
        return len(self.shown) + len(self.hidden)

    @property
    def is_full(self) -> bool:
        """More was listed than may be kept."""
        return self.names > NAMES_MAX

    @property
    def served(self) -> set[str]:
        """The names that the client got."""
        return self.shown - self.withheld

    def judged(self, name: str, *, visible: bool, trusted: bool = True) -> None:
        """The last verdict on `name` counts: a page may come twice."""
        (self.shown if visible else self.hidden).add(name)
        (self.hidden if visible else self.shown).discard(name)
        if trusted:
            self.withheld.discard(name)
        else:
            self.withheld.add(name)


class Scope:
    """What is open for one client of one upstream: a session, or a subject without one.

    `weighed` is how many names its table reckons it with, None where the table has forgotten it.
    `changes` counts, for each kind of list, how often its upstream said that it is another one.
    """

    __slots__ = (
        "_begun",
        "_changes",
        "_events",
        "_flights",
        "_lists",
        "_outdated",
        "_pending",
        "weighed",
    )

    def __init__(self, changes: Counter[str] | None = None) -> None:
        self.weighed: int | None = 0
        self._changes: Counter[str] = Counter() if changes is None else changes
        self._pending: Bounded[RpcId, str] = Bounded(_PENDING)
        self._events: Bounded[str, object] = Bounded(_EVENTS)
        self._lists: dict[str, Seen] = {}
        self._begun: dict[str, Seen] = {}  # by the client, which has its last page yet to read
        self._outdated: Counter[str] = Counter()
        self._flights: WeakValueDictionary[RpcId, object] = WeakValueDictionary()

    # --- requests of the client ---

    def begin(self, id_: RpcId, conversation: object) -> bool:
        """Mark a request as under way while `conversation` lives; False if its id already is."""
        if id_ in self._flights:
            return False
        self._flights[id_] = conversation
        return True

    def finish(self, id_: RpcId) -> None:
        self._flights.pop(id_, None)

    def under_way(self) -> list[object]:
        """The conversations of the requests that are under way."""
        return [*self._flights.values()]

    def is_in_flight(self, id_: RpcId) -> bool:
        return id_ in self._flights

    # --- requests of the server ---

    def passed(self, id_: RpcId, method: str) -> None:
        """A server's request was let through to the client, which may answer it once."""
        self._pending.put(id_, method)

    def expected(self, id_: RpcId) -> str | None:
        """The method of the server's request that `id_` would answer, or None."""
        return self._pending.get(id_)

    def answered(self, id_: RpcId) -> None:
        self._pending.pop(id_)

    # --- lists and streams ---

    @property
    def names(self) -> int:
        """The names of all its listings."""
        return sum(seen.names for seen in (*self._lists.values(), *self._begun.values()))

    def seen(self, kind: str) -> Seen | None:
        return self._lists.get(kind)

    def list_begins(self, kind: str) -> Seen:
        """A first page came. What is read into is nobody's yet: what was seen before counts until
        `list_read`, so that calls beside a list go by the one before."""
        return Seen(generation=self._generation(kind))

    def list_goes_on(self, kind: str) -> Seen | None:
        """What a page that is not the first one belongs to."""
        return self._begun.get(kind) or self._lists.get(kind)

    def list_read(self, kind: str, seen: Seen, *, own: bool = False) -> None:
        """A page was read into `seen`. Half a list takes the place of no whole one that is still
        good; half of what the sidecar reads for itself (`own`) takes that of none at all, or two
        that read at once would go on replacing each other's."""
        if len(self._lists) >= _KINDS and kind not in self._lists:
            return
        kept = self._lists.get(kind)
        is_good = kept is not None and not self.is_outdated(kind, kept)
        is_ended = seen.whole or seen.given_up_s is not None
        keeps = kept is not None and is_good and (kept.whole or (own and not is_ended))
        if seen.whole or not keeps:
            self._lists[kind] = seen
            self._begun.pop(kind, None)
        elif not own:
            self._begun[kind] = seen

    def is_outdated(self, kind: str, seen: Seen) -> bool:
        """Whether a name of `seen` must not be used before the list was read again."""
        return seen.generation != self._generation(kind)

    def outdate(self, kind: str) -> None:
        """What this client may see is another thing now: its list must be read again."""
        self._outdated[kind] += 1

    def _generation(self, kind: str) -> int:
        """Grows with all that outdates a list."""
        return self._changes.get(kind, 0) + self._outdated.get(kind, 0)

    def streamed(self, event_id: str, stream: object) -> None:
        """An event with this id went to the client on `stream`; it may resume there."""
        self._events.put(event_id, stream)

    def stream_of(self, event_id: str) -> object | None:
        return self._events.get(event_id)


class SessionTable:
    """All sessions and open scopes, and the handles that servers gave to subjects."""

    def __init__(
        self, *, sessions_max: int = 8000, scopes_max: int = 4096, names_max: int = 1_000_000
    ) -> None:
        self._sessions: Bounded[str, Session] = Bounded(sessions_max)
        self._scopes: Bounded[ScopeKey, Scope] = Bounded(scopes_max)
        self._keys: Bounded[tuple[str, str], str] = Bounded(scopes_max)
        self._handles: Bounded[tuple[str, str, str], tuple[str]] = Bounded(sessions_max)
        self._changes: dict[str, Counter[str]] = {}
        self._names = 0
        self._names_max = names_max

    def bind(
        self, session_id: str, *, subject: str, upstream: str, route: str, version: str
    ) -> list[Step]:
        """Bind a session that an upstream opened. The steps store it."""
        key = session_key(upstream, session_id)
        session = Session(key=key, subject=subject, upstream=upstream, route=route, version=version)
        value: JsonObject = {
            "subject": subject,
            "upstream": upstream,
            "route": route,
            "version": version,
        }
        steps: list[Step] = []
        gone = self._sessions.put(key, session)
        if gone is not None:  # first: the store has as few rows to spare as we have
            self._forget(self._scopes.pop(gone[0]))
            steps.append(Persist(table=TABLE, key=gone[0], value=None))
        return [*steps, Persist(table=TABLE, key=key, value=value)]

    def find(self, session_id: str, *, subject: str, upstream: str, route: str) -> Session | None:
        """The session if it is this caller's, else None: unknown and foreign look alike."""
        named = (upstream, session_id)
        key = self._keys.get(named)
        if key is None:
            key = session_key(upstream, session_id)
        session = self._sessions.get(key)
        if session is None or (session.subject, session.route) != (subject, route):
            return None
        self._keys.put(named, key)
        return session

    def end(self, key: str) -> list[Step]:
        """Forget a session for good."""
        self._forget(self._scopes.pop(key))
        if self._sessions.pop(key) is None:
            return []
        return [Persist(table=TABLE, key=key, value=None)]

    def load(self, items: Mapping[str, JsonObject]) -> None:
        """Take up what was stored; an object that cannot be read is no session."""
        for key, value in items.items():
            match value:
                case {
                    "subject": str(subject),
                    "upstream": str(upstream),
                    "route": str(route),
                    "version": str(version),
                }:
                    session = Session(
                        key=key, subject=subject, upstream=upstream, route=route, version=version
                    )
                    self._sessions.put(key, session)
                case _:
                    continue

    def scope(self, key: ScopeKey) -> Scope:
        """What is open under `key`; empty where nothing is remembered."""
        found = self._scopes.get(key)
        if found is None:
            found = Scope(self._changes.setdefault(self._upstream_of(key), Counter()))
            gone = self._scopes.put(key, found)
            self._forget(gone[1] if gone is not None else None)
        return found

    def known_scope(self, key: ScopeKey) -> Scope | None:
        """What is open under `key`, where it is remembered."""
        return self._scopes.get(key)

    def list_changed(self, upstream: str, kind: str) -> None:
        """`upstream` said so to one client: what all of them saw of that list is outdated."""
        self._changes.setdefault(upstream, Counter())[kind] += 1

    def _upstream_of(self, key: ScopeKey) -> str:
        if not isinstance(key, str):
            return key[0]
        session = self._sessions.get(key)
        return session.upstream if session is not None else ""

    def weigh(self, scope: Scope) -> None:
        """A listing of `scope` grew: where all clients' lists are too many names together, those
        of whoever spoke longest ago are forgotten. Their sidecar lists anew when they come."""
        if scope.weighed is None:
            return
        names = scope.names
        self._names += names - scope.weighed
        scope.weighed = names
        while self._names > self._names_max and len(self._scopes) > 1:
            self._forget(self._scopes.oldest())

    def _forget(self, scope: Scope | None) -> None:
        if scope is not None and scope.weighed is not None:
            self._names -= scope.weighed
            scope.weighed = None

    def give_handle(self, *, subject: str, upstream: str, handle: str, tool: str = "") -> bool:
        """An upstream gave `handle` (a task's id) to `subject`, who had called `tool`. False where
        the handle stands for a call of another tool, and goes on doing so."""
        key = (subject, upstream, handle)
        known = self._handles.get(key)
        if known is not None and known != (tool,):
            return False
        self._handles.put(key, (tool,))
        return True

    def has_handle(self, *, subject: str, upstream: str, handle: str) -> bool:
        return self._handles.get((subject, upstream, handle)) is not None

    def tool_of(self, *, subject: str, upstream: str, handle: str) -> str | None:
        """The tool whose call `handle` stands for; None where the subject was not given it."""
        found = self._handles.get((subject, upstream, handle))
        return None if found is None else found[0]


def session_key(upstream: str, session_id: str) -> str:
    return digest(f"{upstream}\n{session_id}".encode())
