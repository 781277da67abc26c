"""Engine `opa`: Rego evaluated by an Open Policy Agent (POLICY §3).

Laws: an answer counts only under a revision that is expected; a question is asked of the process we
started, of the socket the settings name, or of a server that proved to be the one they name; an
open breaker denies; nothing is refused because of an activation, or of a renewed identity; OPA's
recovery needs no restart of ours; an OPA that decides nothing is not up, whatever it answers.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from typing import Final, Protocol

import orjson

from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.ports import Clock, Defined, Failed, Raw
from outrider.core.vocabulary import Reason
from outrider.policy.keeper import NotServedError, stranger_query
from outrider.policy.opa_breaker import EngineBreaker
from outrider.policy.opa_door import Door
from outrider.policy.opa_hot import HotClient, request_head
from outrider.policy.opa_install import check_version
from outrider.policy.opa_reply import Reply, named_revision, provenance_version, read_reply
from outrider.policy.opa_words import SILENCE, answer_in_words, fault_in_words, stale_in_words
from outrider.policy.release import Release, package_of

logger = logging.getLogger(__name__)

ACTIVATION_S: Final = 15.0
CANARY_S: Final = 1.0
_HEALTHY_EVERY_S: Final = 5.0
_SICK_EVERY_S: Final = 0.5
_LOOK_EVERY_S: Final = 0.05
_DEADLINE_SLACK_S: Final = 0.002
_MOST_ENTRYPOINTS: Final = 8
_MOST_ERRORS: Final = 3
_ENTRYPOINT: Final = re.compile(r"data(\.[a-z_][a-z0-9_]{0,63}){1,8}")
_BREAKER_OPEN: Final = Failed(code=Reason.POLICY_UNAVAILABLE, detail="the breaker is open")
_TIMED_OUT: Final = Failed(code=Reason.POLICY_TIMEOUT, detail="no answer by the deadline")
_UNASKED: Final = "OPA was not asked yet"


class OpaLink(Protocol):
    """An OPA that can be asked: our child, or one that others run."""

    @property
    def door(self) -> Door:
        """The way to it. Raises `ConfigError` where there is none yet."""

    async def offer(self, release: Release) -> bool:
        """Have OPA take `release`, if that is ours to do; True where it surely has it then.

        Raises `ConfigError` where it does not take it.
        """

    async def run(self) -> None:
        """Whatever must run for as long as OPA is asked. Ends only by cancellation."""


class OthersLink:
    """An OPA that others run, beside us or elsewhere; where its policy comes from is its own
    affair."""

    def __init__(self, door: Door) -> None:
        self.door: Final = door

    async def offer(self, release: Release) -> bool:
        """Nothing is pushed; the activation waits until OPA answers under the release's name."""
        return False

    async def run(self) -> None:
        """Nothing runs here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpaLimits:
    """How OPA is asked. `connections` is also how many questions are under way at most."""

    connections: int = 8
    activation_s: float = ACTIVATION_S


class OpaEngine:
    """Answers from one OPA. `run` must be running for `activate` to come to an end."""

    name: Final = "opa"

    def __init__(
        self,
        *,
        link: OpaLink,
        clock: Clock,
        entrypoint: str,
        limits: OpaLimits | None = None,
        on_up: Callable[[bool], None] | None = None,
    ) -> None:
        """`on_up` is told of each change of `up`, on the event loop."""
        self._link = link
        self._clock = clock
        self._entrypoint = entrypoint
        self._limits = limits or OpaLimits()
        self._on_up = on_up or (lambda _: None)
        self._breaker = EngineBreaker(clock)
        self._client: HotClient | None = None
        self._heads: dict[tuple[str, bool], bytes] = {}
        self._current: OpaSnapshot | None = None
        self._expected: frozenset[str] = frozenset()
        self._canary = b"{}"
        self._answered = False
        self._doubted = False
        self._wrong = _UNASKED
        self._where = ""
        self._was_up = False
        self._last_probe_s = 0.0

    @property
    def up(self) -> bool:
        """Whether a release is in force and OPA gave decisions when it was last asked."""
        return self._current is not None and self._answered and not self._breaker.is_open

    def fault(self) -> str | None:
        """What is wrong and what to do, for readiness; None while it is `up`."""
        return None if self.up else self._wrong

    def snapshot(self) -> "OpaSnapshot":
        """The release in force. Raises `ConfigError` where none was activated yet."""
        if self._current is None:
            raise ConfigError("no policy is activated")
        return self._current

    def expected(self, revision: str) -> frozenset[str]:
        """What an answer to a snapshot of `revision` may name: the release in force, the one
        being activated, and its own."""
        return self._expected if revision in self._expected else self._expected | {revision}

    async def activate(self, release: Release) -> "OpaSnapshot":
        """Have OPA serve `release`, and see it answer under that name.

        Raises `ConfigError`, `NotServedError` where it did not within the time for it; what was in
        force stays so. Until it returns, answers of both count.
        """
        _check_entrypoint(release, self._entrypoint)
        before = self._expected
        self._expected = before | {release.revision}
        self._wrong = _UNASKED
        try:
            async with asyncio.timeout(self._limits.activation_s):
                taken = await self._link.offer(release)
                provenance = await self._confirm(release, taken=taken)
        except TimeoutError:
            self._expected = before
            raise NotServedError(
                f"OPA did not answer under revision {release.revision} within "
                f"{self._limits.activation_s:g} s: {self._wrong}"
            ) from None
        except BaseException:
            self._expected = before
            raise
        self._current = OpaSnapshot(engine=self, revision=release.revision, provenance=provenance)
        self._expected = frozenset({release.revision})
        self._canary = _dumps(stranger_query(release))
        self._heard()
        return self._current

    async def run(self) -> None:
        """Keep OPA up and know whether it is. Ends only by cancellation."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._link.run(), name="opa link")
                group.create_task(self._watch(), name="opa canary")
        finally:
            self._answered = False
            self._tell()
            if self._client is not None:
                self._client.close()

    def renew(self) -> None:
        """Ask over new connections from now on: our identity, or what we trust, has changed."""
        if self._client is not None:
            self._client.renew()

    async def ask(
        self,
        snapshot: "OpaSnapshot",
        entrypoint: str,
        query: bytes,
        deadline_s: float,
        trace: str | None,
    ) -> Raw:
        """One question on `snapshot`, breaker and all. Raises only CancelledError."""
        if not self._breaker.admits():
            return _BREAKER_OPEN
        try:
            head = self._head(entrypoint, provenance=snapshot.provenance)
            raw = snapshot.checked(await self._asked(head, query, deadline_s, trace))
        except asyncio.CancelledError:
            if self._clock.monotonic_s() >= deadline_s - _DEADLINE_SLACK_S:
                self._failed(_TIMED_OUT)  # cut off by the decision's own deadline
            else:
                self._breaker.left()
            raise
        if not isinstance(raw, Failed):
            self._heard()
        elif raw.code in SILENCE:
            self._failed(raw)
        elif raw.code is Reason.OVERLOAD:
            self._breaker.left()
        else:
            self._doubt()
        return raw

    async def _asked(
        self, head: bytes | None, query: bytes, deadline_s: float, trace: str | None
    ) -> Raw:
        if head is None:
            return Failed(code=Reason.POLICY_ERROR, detail="the entry point is none of ours")
        started_s = self._clock.monotonic_s()
        if started_s >= deadline_s:
            return _TIMED_OUT
        reply = await self._reach().ask(head, query, deadline_s, trace)
        if isinstance(reply, Failed):
            return reply
        raw = read_reply(reply, int((self._clock.monotonic_s() - started_s) * 1_000_000))
        if isinstance(raw, Failed):
            logger.warning(
                "OPA gives no decision", extra={"event": "opa_no_decision", "fault": raw.detail}
            )
        return raw

    def _reach(self) -> HotClient:
        if self._client is None:
            door = self._link.door
            self._where = door.where
            self._client = HotClient(
                door=door,
                connections=self._limits.connections,
                clock=self._clock,
            )
        return self._client

    def _head(self, entrypoint: str, *, provenance: bool) -> bytes | None:
        head = self._heads.get((entrypoint, provenance))
        room = len(self._heads) < _MOST_ENTRYPOINTS
        if head is None and room and _ENTRYPOINT.fullmatch(entrypoint):
            host = self._link.door.host
            head = request_head(entrypoint, provenance=provenance, host=host)
            self._heads[entrypoint, provenance] = head
        return head

    async def _confirm(self, release: Release, *, taken: bool) -> bool:
        """Wait until OPA answers under the release's revision. True where only OPA's provenance
        names it, the decision does not.

        A policy that fails on the canaries too is one that OPA has, where it was `taken`: what it
        then answers is a fault, and its keeper's to judge.
        """
        head = request_head(self._entrypoint, provenance=True, host=self._link.door.host)
        fixture = next(iter(release.fixtures.values()), stranger_query(release))
        queries = cycle((_dumps(fixture), b"{}"))
        errors = 0
        while True:
            deadline_s = self._clock.monotonic_s() + CANARY_S
            reply = await self._reach().ask(head, next(queries), deadline_s)
            if isinstance(reply, Reply) and reply.status == 200:
                check_version(provenance_version(reply) or "", "the OPA that is asked")
                provenance = _names(read_reply(reply, 0), release.revision)
                if provenance is not None:
                    return provenance
            elif isinstance(reply, Reply) or reply.code is Reason.POLICY_MALFORMED:
                errors += 1
                if taken and errors > _MOST_ERRORS:
                    return True
            raw = read_reply(reply, 0) if isinstance(reply, Reply) else reply
            self._wrong = answer_in_words(raw, release.revision, self._where)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_SICK_EVERY_S)
            age_s = self._clock.monotonic_s() - self._last_probe_s
            due = not self.up or self._doubted or age_s >= _HEALTHY_EVERY_S
            if self._current is not None and due:
                await self._probe(self._current)

    async def _probe(self, current: "OpaSnapshot") -> None:
        """Ask a canary past the breaker, so that OPA's return is known without a victim."""
        self._last_probe_s = self._clock.monotonic_s()
        self._doubted = False
        head = self._head(self._entrypoint, provenance=current.provenance)
        raw = await self._asked(head, self._canary, self._last_probe_s + CANARY_S, None)
        raw = current.checked(raw)
        if isinstance(raw, Failed):
            self._answered = False
            self._wrong = fault_in_words(raw, self._where)
            if raw.code in SILENCE:
                self._breaker.failed()
            self._tell()
        else:
            self._heard()

    def _heard(self) -> None:
        self._breaker.succeeded()
        self._answered = True
        self._tell()

    def _failed(self, fault: Failed) -> None:
        self._wrong = fault_in_words(fault, self._where)
        self._breaker.failed()
        self._tell()

    def _doubt(self) -> None:
        """It answers, but gave no decision. One caller's input may do that, or all of them fare so:
        a canary tells them apart."""
        self._breaker.succeeded()
        self._doubted = True
        self._tell()

    def _tell(self) -> None:
        up = self.up
        if up is not self._was_up:
            self._was_up = up
            logger.info("OPA came up or went down", extra={"event": "opa_up", "up": up})
            self._on_up(up)


class OpaSnapshot:
    """One release at one OPA. `provenance`: only OPA's own words name the revision."""

    waits: Final = True

    def __init__(self, *, engine: OpaEngine, revision: str, provenance: bool) -> None:
        self._engine = engine
        self.revision: Final = revision
        self.provenance: Final = provenance

    @property
    def expected(self) -> frozenset[str]:
        """As the port says."""
        return self._engine.expected(self.revision)

    async def evaluate(
        self, entrypoint: str, query: bytes, deadline_s: float, trace: str | None
    ) -> Raw:
        """As the port says. On cancellation the connection in use is closed."""
        return await self._engine.ask(self, entrypoint, query, deadline_s, trace)

    def checked(self, raw: Raw) -> Raw:
        """`raw`, if it may be an answer of this release's; else that it is stale."""
        if isinstance(raw, Failed):
            return raw
        revision = raw.meta.revision
        if revision is not None:
            return raw if revision in self.expected else self._stale(revision)
        # A deny may leave its revision out (the library's default does); nothing else may.
        return self._stale(None) if isinstance(raw, Defined) and _opens(raw.value) else raw

    def _stale(self, named: str | None) -> Failed:
        return Failed(code=Reason.POLICY_STALE, detail=stale_in_words(named, self.revision))


def _opens(value: Json) -> bool:
    return value is True or (isinstance(value, dict) and value.get("effect") in ("allow", "hold"))


def _names(raw: Raw, revision: str) -> bool | None:
    """Whether OPA alone names `revision` (True), the decision too (False), or neither (None)."""
    if isinstance(raw, Defined) and named_revision(raw.value) == revision:
        return False
    return True if not isinstance(raw, Failed) and raw.meta.revision == revision else None


def _check_entrypoint(release: Release, entrypoint: str) -> None:
    """Raises `ConfigError` where no module can define `entrypoint`: OPA would call that undefined,
    as it does a rule whose conditions are not met."""
    for name, text in release.modules.items():
        package = f"data.{package_of(name, text)[0]}."
        if not entrypoint.startswith(package):
            continue
        rule = re.escape(entrypoint.removeprefix(package).split(".")[0])
        if re.search(rf"^[ \t]*(default[ \t]+)?{rule}\b", text, re.MULTILINE):
            return
    raise ConfigError(f"the entry point {entrypoint} is defined nowhere")


def _dumps(query: JsonObject) -> bytes:
    return orjson.dumps(query, option=orjson.OPT_SORT_KEYS)
