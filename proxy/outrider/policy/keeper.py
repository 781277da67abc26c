"""Keeps the policy in force: loads aside, gates, activates, tries, and only then swaps whole.

Laws: a release that fails anywhere changes nothing, the last good one stays; nothing is refused
because of a reload; where nothing was ever activated everything is refused.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import orjson

from outrider.core.decision import Decision
from outrider.core.errors import ConfigError, EnforcementError
from outrider.core.jsonvalue import JsonObject, as_object
from outrider.core.ports import ActivePolicy, Clock, Snapshot
from outrider.core.vocabulary import OUTCOME_OF, Effect, Outcome, Reason
from outrider.policy.archive import fingerprint
from outrider.policy.release import Release, load
from outrider.policy.result import Source, decide

logger = logging.getLogger(__name__)

POLL_S: Final = 1.0
_SETTLING_S: Final = 0.1
_CANARY_S: Final = 5.0
InputPaths: TypeAlias = frozenset[tuple[str, ...]]

_STILL: Final = 10  # looks at a tree that keeps changing before it is left for the next poll


class NotServedError(ConfigError):
    """Whom the engine asks does not serve the release yet; what it serves is another's affair."""


class ReleaseEngine(Protocol):
    """An engine that a keeper gives releases to."""

    @property
    def name(self) -> str: ...

    def snapshot(self) -> Snapshot: ...

    async def activate(self, release: Release) -> Snapshot:
        """The snapshot of `release`, in force now. Raises `ConfigError`; the last then stays.

        `NotServedError` where trying the same again later may do.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySource:
    """Where policy comes from. `hosts` are the upstreams' `host:port`, `complete` production's
    demand on agents (GOVERNANCE §10)."""

    path: Path
    overlays: tuple[Path, ...] = ()
    hosts: Mapping[str, str] = field(default_factory=dict)
    complete: bool = False

    def load(self) -> Release:
        """Blocking. Raises `ConfigError`."""
        return load(self.path, self.overlays, hosts=self.hosts, complete=self.complete)

    def fingerprint(self) -> object:
        """What changes when a file does; an unreadable tree has one too. Blocking."""
        try:
            return tuple(fingerprint(path) for path in (self.path, *self.overlays))
        except ConfigError as fault:
            return str(fault)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyStatus:
    """What is in force, since when, last confirmed when, and what went wrong last."""

    engine: str
    revision: str | None
    digest: str | None
    since_unix_s: float | None
    confirmed_unix_s: float | None
    last_error: str | None
    last_error_unix_s: float | None
    permissive: bool
    modules: int
    agents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _InForce:
    release: Release
    policy: ActivePolicy
    since_unix_s: float
    permissive: bool


class PolicyKeeper:
    """Owner of the release in force."""

    def __init__(  # noqa: PLR0913 - collaborators by keyword
        self,
        *,
        source: PolicySource,
        engine: ReleaseEngine,
        gate: Callable[[Release], InputPaths | None],
        clock: Clock,
        entrypoint: str,
        max_staleness_s: float = 0,
        rehearsal: ReleaseEngine | None = None,
    ) -> None:
        """`rehearsal` tries a release before `engine` is given it: for an engine that cannot
        serve two at once, so that nobody is judged by one that is then taken back."""
        self._rehearsal = rehearsal
        self._source = source
        self._engine = engine
        self._gate = gate
        self._clock = clock
        self._entrypoint = entrypoint
        self._max_staleness_s = max_staleness_s
        self._changed: list[Callable[[ActivePolicy], None]] = []
        self._in_force: _InForce | None = None
        self._reloading = asyncio.Lock()
        self._seen: object = None
        self._confirmed_s = float("-inf")
        self._confirmed_unix_s: float | None = None
        self._error: tuple[str, float] | None = None
        self._late = False

    def active(self) -> ActivePolicy:
        """The policy in force.

        Raises `EnforcementError` with `policy_unavailable` where nothing was activated, with
        `policy_stale` where it has gone unconfirmed for longer than is allowed.
        """
        if self._in_force is None:
            raise EnforcementError("no policy is activated", reason=Reason.POLICY_UNAVAILABLE)
        if self._max_staleness_s and self._age_s() > self._max_staleness_s:
            raise EnforcementError(
                "the policy has gone unconfirmed for too long", reason=Reason.POLICY_STALE
            )
        return self._in_force.policy

    def release(self) -> Release:
        """The release in force. Raises as `active` does where there is none."""
        if self._in_force is None:
            raise EnforcementError("no policy is activated", reason=Reason.POLICY_UNAVAILABLE)
        return self._in_force.release

    def status(self) -> PolicyStatus:
        now = self._in_force
        error, error_at = self._error or (None, None)
        return PolicyStatus(
            engine=self._engine.name,
            revision=now.release.revision if now else None,
            digest=now.release.digest if now else None,
            since_unix_s=now.since_unix_s if now else None,
            confirmed_unix_s=self._confirmed_unix_s,
            last_error=error,
            last_error_unix_s=error_at,
            permissive=now.permissive if now else False,
            modules=len(now.release.modules) if now else 0,
            agents=len(now.release.agents) if now else 0,
        )

    def tell(self, changed: Callable[[ActivePolicy], None]) -> None:
        """Have `changed` called after each swap, on the event loop."""
        self._changed.append(changed)

    def confirm(self) -> None:
        """The source was reached and holds what is in force."""
        self._confirmed_s = self._clock.monotonic_s()
        self._confirmed_unix_s = self._clock.unix_s()

    async def reload(self, source: PolicySource | None = None) -> bool:
        """Put what the source now holds in force; True where that changed anything.

        Raises `ConfigError`, and the last good release stays in force.
        """
        async with self._reloading:
            wanted = source or self._source
            try:
                changed = await self._replace(wanted)
            except ConfigError as fault:
                self._error = (str(fault), self._clock.unix_s())
                self._late = isinstance(fault, NotServedError)
                logger.warning(
                    "policy refused", extra={"event": "policy_refused", "fault": str(fault)}
                )
                raise
            self._source = wanted
            self._error = None
            self._late = False
            self.confirm()
            return changed

    async def watch(self) -> None:
        """Reload whenever a file of the source changes, and what others serve too late until they
        do. Ends only by cancellation."""
        while True:
            await asyncio.sleep(POLL_S)
            now = await asyncio.to_thread(self._source.fingerprint)
            if now == self._seen and not (self._late and self._in_force):
                self._confirm_unless_failed()
                continue
            try:
                await self.reload()
            except ConfigError:
                continue  # told in the status and the log; the next change is tried again

    def _confirm_unless_failed(self) -> None:
        if self._error is None:
            self.confirm()

    async def _replace(self, source: PolicySource) -> bool:
        # 1: read it when it holds still
        self._seen = await self._settled(source)
        release, reads = await asyncio.to_thread(self._load, source)
        now = self._in_force
        if now and now.release.digest == release.digest and source == self._source:
            return False
        # 2: activate
        if self._rehearsal is not None:
            await self._try(release, await self._rehearsal.activate(release))
        try:
            snapshot = await self._engine.activate(release)
            # 3: try it before anybody is judged by it
            permissive = await self._try(release, snapshot)
        except ConfigError:
            await self._back()
            raise
        # 4: swap
        policy = ActivePolicy(
            revision=release.revision,
            manifest=release.manifest,
            agents=release.agents,
            snapshot=snapshot,
            engine=self._engine.name,
            reads=reads,
            templates=release.templates,
        )
        self._in_force = _InForce(
            release=release,
            policy=policy,
            since_unix_s=self._clock.unix_s(),
            permissive=permissive,
        )
        logger.info(
            "policy activated",
            extra={"event": "policy_activated", "revision": release.revision},
        )
        if release.lacking:
            logger.warning(
                "nobody answers for parts of the policy; the production profile refuses it",
                extra={
                    "event": "policy_lacking",
                    "lacking": len(release.lacking),
                    "first": release.lacking[0],
                },
            )
        for told in self._changed:
            told(policy)
        return True

    def _load(self, source: PolicySource) -> tuple[Release, InputPaths | None]:
        try:
            release = source.load()
            return release, self._gate(release)
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as fault:
            # No reader is known to raise these; one that did must not end what runs.
            logger.exception("policy cannot be read", extra={"event": "policy_unreadable"})
            raise ConfigError("the policy cannot be read; the log says why") from fault

    async def _settled(self, source: PolicySource) -> object:
        """The fingerprint of a tree nobody is in the middle of writing."""
        seen = await asyncio.to_thread(source.fingerprint)
        if self._in_force is None or seen == self._seen:
            return seen
        for _ in range(_STILL):
            await asyncio.sleep(_SETTLING_S)
            later = await asyncio.to_thread(source.fingerprint)
            if later == seen:
                return seen
            seen = later
        raise ConfigError("the policy's files keep changing; nothing was loaded")

    async def _back(self) -> None:
        """Have the engine serve the last good release again, where it can."""
        if self._in_force is None:
            return
        try:
            await self._engine.activate(self._in_force.release)
        except NotServedError as fault:  # the first fault is the one to tell
            logger.warning(
                "the last policy is not served any more",
                extra={"event": "policy_unserved", "fault": str(fault)},
            )

    async def _try(self, release: Release, snapshot: Snapshot) -> bool:
        """Canaries. True where the release allows what nothing binds and ships no fixture that
        says otherwise: its owner's right, but worth a warning."""
        stranger = await self._canary(release, snapshot, stranger_query(release))
        if stranger.effect is Effect.DENY:
            _refuse_fault(stranger)
        if not release.fixtures:
            if stranger.effect is not Effect.DENY:
                logger.warning(
                    "policy allows what nothing binds",
                    extra={"event": "policy_unbound", "revision": release.revision},
                )
            return stranger.effect is not Effect.DENY
        if stranger.effect is not Effect.DENY:
            raise ConfigError("policy does not deny an unknown agent without a task")
        for fixture in release.fixtures.values():
            decision = await self._canary(release, snapshot, fixture)
            if decision.effect is Effect.ALLOW:
                return False
        raise ConfigError("policy allows none of its own fixtures")

    async def _canary(self, release: Release, snapshot: Snapshot, query: JsonObject) -> Decision:
        raw = await snapshot.evaluate(
            self._entrypoint,
            orjson.dumps(query, option=orjson.OPT_SORT_KEYS),
            self._clock.monotonic_s() + _CANARY_S,
            None,
        )
        source = Source(
            engine=self._engine.name,
            revision=release.revision,
            expected=frozenset({release.revision}),
        )
        return decide(raw, id="canary", source=source)

    def _age_s(self) -> float:
        return self._clock.monotonic_s() - self._confirmed_s


def stranger_query(release: Release) -> JsonObject:
    """An input that any policy should deny: a quarantined agent without task on what nobody
    declared. Made from the release's own fixture where there is one."""
    base = next(iter(release.fixtures.values()), _NEUTRAL)
    copy: JsonObject = orjson.loads(orjson.dumps(base))
    as_object(as_object(copy.get("subject")).get("properties"))["status"] = "quarantined"
    as_object(copy.get("context"))["task"] = None
    return copy


def _refuse_fault(decision: Decision) -> None:
    """A canary may be denied, but by policy: a fault is no answer. Undefined is, for one's own."""
    reason = decision.reason
    if reason in (None, Reason.POLICY_UNDEFINED) or OUTCOME_OF[reason] is not Outcome.FAULT:
        return
    raise ConfigError(f"policy gives no usable decision ({reason}): {decision.detail}")


_NEUTRAL: Final[JsonObject] = {
    "version": "outrider.input/v1",
    "subject": {"type": "agent", "id": "spiffe://canary.invalid/stranger", "properties": {}},
    "action": {
        "name": "canary",
        "properties": {"effect": "execute", "class": "execute", "phase": "request"},
    },
    "resource": {"type": "tool", "id": "canary/canary", "properties": {"declared": False}},
    "context": {"environment": "", "task": None},
}
