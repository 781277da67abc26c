"""Keeps the policy in force: loads aside, gates, activates, tries, and only then swaps whole.

Laws: a release that fails anywhere changes nothing, the last good one stays; nothing is refused
because of a reload; where nothing was ever activated everything is refused.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeAlias

import orjson

from outrider.core.decision import Decision
from outrider.core.errors import ConfigError, EnforcementError
from outrider.core.jsonvalue import JsonObject, as_object
from outrider.core.ports import ActivePolicy, Clock, Snapshot
from outrider.core.vocabulary import OUTCOME_OF, Effect, Outcome, Reason
from outrider.policy.ledger import Ledger
from outrider.policy.policy_source import PolicySource
from outrider.policy.release import Release
from outrider.policy.result import Source, decide
from outrider.policy.signature import UnverifiedError

logger = logging.getLogger(__name__)

POLL_S: Final = 1.0
_SETTLING_S: Final = 0.1
_CANARY_S: Final = 5.0
_SKEW_S: Final = 300.0  # how far ahead of ours another start's clock may have been
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
    sequence: int | None = None
    signed_by: str | None = None
    stale: bool = False
    age_s: float | None = None


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
        ledger: Ledger | None = None,
        on_refused: Callable[[str], None] = lambda _stage: None,
    ) -> None:
        """`rehearsal` tries a release before `engine` is given it: for an engine that cannot
        serve two at once, so that nobody is judged by one that is then taken back. `ledger` knows
        what was in force before; `on_refused` is told at which stage a release was refused,
        `verify` or `activate`."""
        self._ledger = ledger
        self._on_refused = on_refused
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
        if self._is_stale():
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
            sequence=now.release.sequence if now else None,
            signed_by=now.release.signed.key if now and now.release.signed else None,
            stale=now is not None and self._is_stale(),
            age_s=round(self._age_s(), 3) if self._confirmed_unix_s is not None else None,
        )

    @property
    def source(self) -> PolicySource:
        """Where what is in force came from, or is to come from."""
        return self._source

    @property
    def max_staleness_s(self) -> float:
        """Seconds that policy counts after its last confirmation; 0 without end."""
        return self._max_staleness_s

    def tell(self, changed: Callable[[ActivePolicy], None]) -> None:
        """Have `changed` called after each swap, on the event loop."""
        self._changed.append(changed)

    def confirm(self) -> None:
        """The source was reached and holds what is in force."""
        self._confirmed_s = self._clock.monotonic_s()
        self._confirmed_unix_s = self._clock.unix_s()

    def confirm_unless_failed(self) -> bool:
        """Confirm, unless something of the source was refused since; whether it was confirmed."""
        if self._error is None:
            self.confirm()
        return self._error is None

    async def reload(
        self, source: PolicySource | None = None, *, confirmed_unix_s: float | None = None
    ) -> bool:
        """Put what the source now holds in force; True where that changed anything.

        Files confirm themselves by being read; what is fetched is confirmed by who fetched it, or
        was at `confirmed_unix_s`. A source without a path keeps the bundle that was fetched last.
        Raises `ConfigError`, and the last good release stays in force.
        """
        async with self._reloading:
            wanted = source or self._source
            if wanted.path is None:
                wanted = replace(wanted, path=self._source.path)
            try:
                changed = await self._replace(wanted, confirmed_unix_s)
            except ConfigError as fault:
                self._refused(fault)
                raise
            self._source = wanted
            self._error = None
            self._late = False
            if not wanted.is_fetched:
                self.confirm()
            return changed

    def _refused(self, fault: ConfigError) -> None:
        self._error = (str(fault), self._clock.unix_s())
        self._late = isinstance(fault, NotServedError)
        self._on_refused("verify" if isinstance(fault, UnverifiedError) else "activate")
        logger.warning("policy refused", extra={"event": "policy_refused", "fault": str(fault)})

    async def watch(self) -> None:
        """Reload whenever a file of the source changes, and what others serve too late until they
        do. Ends only by cancellation."""
        while True:
            await asyncio.sleep(POLL_S)
            if self._source.path is None:
                continue  # whoever fetches it brings the first
            now = await asyncio.to_thread(self._source.fingerprint)
            if now == self._seen and not (self._late and self._in_force):
                if not self._source.is_fetched:
                    self.confirm_unless_failed()
                continue
            try:
                await self.reload()
            except ConfigError:
                continue  # told in the status and the log; the next change is tried again

    async def _replace(self, source: PolicySource, confirmed_unix_s: float | None) -> bool:
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
            # 4: remember it, so that nothing older follows
            if self._ledger is not None:
                await asyncio.to_thread(self._ledger.note, release)
        except ConfigError:
            await self._back()
            raise
        # 5: swap
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
        if confirmed_unix_s is None:
            self.confirm()
        else:
            self._was_confirmed(confirmed_unix_s)
        self._announce(release, policy)
        return True

    def _was_confirmed(self, unix_s: float) -> None:
        """Confirmed then; a time to come is nobody's confirmation."""
        ago_s = self._clock.unix_s() - unix_s
        self._confirmed_unix_s = unix_s
        self._confirmed_s = (
            self._clock.monotonic_s() - max(0.0, ago_s) if ago_s > -_SKEW_S else float("-inf")
        )

    def _announce(self, release: Release, policy: ActivePolicy) -> None:
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

    def _load(self, source: PolicySource) -> tuple[Release, InputPaths | None]:
        try:
            release = source.load()
            if self._ledger is not None:
                self._ledger.check(release, fetched=source.is_fetched)
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

    def _is_stale(self) -> bool:
        return bool(self._max_staleness_s) and self._age_s() > self._max_staleness_s

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
