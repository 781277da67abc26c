"""What the control and telemetry listeners say and do, for one running sidecar."""

import asyncio
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from outrider import __version__
from outrider.app.explaining import explain_decision
from outrider.app.identity_view import IdentityView
from outrider.app.peer_check import PeerCheck
from outrider.control.agents import AgentOperations
from outrider.control.api import ControlApi
from outrider.control.health import Check
from outrider.control.identity import IdentityOperations
from outrider.control.opa_bundle import HOLDER, bundle_endpoint
from outrider.control.operations import Operations, Reviewed
from outrider.core.errors import EnforcementError
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.core.vocabulary import RecordKind
from outrider.pipeline.records import base
from outrider.policy.engines.opa import OpaEngine
from outrider.policy.keeper import PolicyStatus
from outrider.protocols.adapters.mcp.edits import suspicion
from outrider.protocols.pins import Acceptance, PinTable

if TYPE_CHECKING:
    from outrider.app.sidecar import Sidecar


_STORE_AWAY: Final = "the store does not answer"


class ControlPlane:
    """Reads the sidecar, and changes only what an operation says it changes."""

    def __init__(self, sidecar: "Sidecar") -> None:
        self._sidecar = sidecar
        self.identity = IdentityView(
            keeper=sidecar.identity.keeper,
            loaded=sidecar.loaded,
            clock=sidecar.clock,
            instance=sidecar.instance,
        )

    def api(self) -> ControlApi:
        sidecar = self._sidecar
        operations = Operations(
            status=self.status,
            reload=sidecar.reload_policy,
            roll_back=sidecar.roll_back,
            pins=PinsView(sidecar.state.pins),
            store=sidecar.store,
            explain=self._explain,
            set_level=sidecar.logs.set_level,
            accepted=self._accepted,
        )
        agents = set(sidecar.loaded.settings.listeners.egress.uids) - {os.getuid()}
        identity = IdentityOperations(
            document=self.identity.document,
            wait_other=self.identity.wait_other,
            check=PeerCheck(sidecar.identity, lambda: sidecar.loaded).check,
        )
        tasks = sidecar.tasks.operations()
        inventory = AgentOperations(document=sidecar.agents.document)
        endpoints = (
            *operations.endpoints(),
            *identity.endpoints(),
            *tasks.endpoints(),
            *inventory.endpoints(),
        )
        tokens = {"operator": sidecar.state.token}
        if sidecar.feed is not None:
            endpoints += (bundle_endpoint(sidecar.feed.source),)
            tokens[HOLDER] = sidecar.feed.token
        return ControlApi(
            endpoints=endpoints,
            tokens=tokens,
            refused_uids=frozenset(agents),
            note=self.note,
            counted=sidecar.metrics.control_request,
        )

    def checks(self) -> tuple[Check, ...]:
        """The conditions of readiness (OPERATIONS §10)."""
        sidecar = self._sidecar

        def say(missing: str, *, unless: bool) -> str | None:
            return None if unless else missing

        return (
            Check(
                name="listeners",
                missing=lambda: say("not bound yet", unless=sidecar.listening),
            ),
            *self.identity.checks(),
            Check(
                name="policy",
                missing=self._policy_missing,
                degraded=self._policy_degraded,
                detail=self._policy_detail,
            ),
            Check(
                name="audit",
                missing=lambda: say("records cannot be written", unless=sidecar.audit.healthy()),
            ),
            Check(name="store", missing=self._store_missing, degraded=self._store_degraded),
            sidecar.capturing.check(),
            Check(name="drain", missing=lambda: say("draining", unless=not sidecar.draining)),
        )

    def status(self) -> JsonObject:
        """What is in force and how it is, without secrets."""
        sidecar = self._sidecar
        missing = dict(sidecar.health.missing())
        policy: JsonObject = {**asdict(sidecar.keeper.status())}
        audit: JsonObject = {**asdict(sidecar.audit.state())}
        return {
            "version": __version__,
            "profile": sidecar.loaded.settings.profile.value,
            "ready": not missing,
            "missing": {**missing},
            "degraded": {**dict(sidecar.health.degraded())},
            "policy": policy,
            "audit": audit,
            "live": len(sidecar.live),
            "egress_ports": [*sidecar.egress.ports] if sidecar.listening else [],
        }

    def note(self, operation: str, result: str) -> None:
        """The chain's record of one control call."""
        sidecar = self._sidecar
        record = base(RecordKind.ADMIN, sidecar.clock, None, None, None)
        record["admin"] = {"operation": operation, "result": result}
        if result == "ok":
            sidecar.audit.append_nowait(record)
        else:
            sidecar.audit.append_refusal(record)  # folded: knocking must not fill the chain

    def _store_missing(self) -> str | None:
        reads_on = self._sidecar.loaded.settings.stores.on_loss == "read"
        return None if reads_on or self._sidecar.state.stored() else _STORE_AWAY

    def _store_degraded(self) -> str | None:
        return None if self._sidecar.state.stored() else _STORE_AWAY

    def _policy_missing(self) -> str | None:
        status = self._sidecar.keeper.status()
        if status.revision is None:
            return f"no policy is in force: {status.last_error or 'none was loaded yet'}"
        try:
            self._sidecar.keeper.active()
        except EnforcementError as late:
            return f"{late.detail}: {_last(status)}" if status.stale else late.detail
        engine = self._sidecar.engine
        fault = engine.fault() if isinstance(engine, OpaEngine) else None
        return None if fault is None else f"the engine opa gives no decisions: {fault}"

    def _policy_degraded(self) -> str | None:
        """Half of the time it counts without being confirmed is over."""
        keeper = self._sidecar.keeper
        status, most_s = keeper.status(), keeper.max_staleness_s
        if not most_s or status.age_s is None or status.age_s <= most_s / 2:
            return None
        return (
            f"the policy was confirmed {status.age_s:.0f} s ago and counts for {most_s:.0f} s: "
            f"{_last(status)}"
        )

    def _policy_detail(self) -> str | None:
        status = self._sidecar.keeper.status()
        return None if status.revision is None else f"revision {status.revision}"

    def _accepted(self, facts: JsonObject) -> None:
        upstream = str(facts.get("upstream"))
        for pin in map(as_object, as_list(facts.get("pins"))):
            record = base(RecordKind.DEFINITION, self._sidecar.clock, None, None, None)
            record["note"] = {"event": "definition_accepted", "upstream": upstream, **pin}
            self._sidecar.audit.append_nowait(record)
        self._sidecar.live.changed(upstream)

    async def _explain(self, decision_id: str) -> JsonObject:
        sidecar = self._sidecar
        return await asyncio.to_thread(
            explain_decision,
            directory=sidecar.loaded.data(sidecar.loaded.settings.audit.path),
            key=sidecar.state.inputs_key,
            release=sidecar.keeper.release(),
            entrypoint=sidecar.loaded.settings.policy.entrypoint,
            decision_id=decision_id,
        )


def _last(status: PolicyStatus) -> str:
    return status.last_error or "its source was not reached since"


class PinsView:
    """The pin table as the control API shows it."""

    def __init__(self, pins: PinTable) -> None:
        self._pins = pins

    def documents(self) -> list[JsonObject]:
        return [
            {
                "upstream": pin.upstream,
                "kind": pin.kind,
                "name": pin.name,
                "state": pin.state.value,
                "digest": pin.digest,
                "seen": pin.seen,
            }
            for pin in self._pins.listed()
        ]

    def differences(self, upstream: str, name: str) -> JsonObject:
        """What differs, and the digest of the latest definition, which is what can be accepted.
        `new` says why one that was never accepted waits; null for others."""
        changes: list[Json] = [
            {"member": change.member, "before": change.before, "after": change.after}
            for change in self._pins.diff(upstream, name)
        ]
        pin = self._pins.get(upstream, "tools", name)
        new = None
        if pin is not None and pin.digest is None and not pin.fits:
            new = suspicion(pin.current) or ("added" if pin.current else "unreadable")
        return {"changes": changes, "digest": pin.seen if pin is not None else None, "new": new}

    def to_accept(self, reviewed: Reviewed) -> "Accepting":
        """What accepting comes to. Nothing is accepted yet. Raises `ValueError` where something
        else is said by now than what was reviewed."""
        return Accepting(self._pins, self._pins.accepting(reviewed))


class Accepting:
    """A person's word on some pins, until it is stored and counts."""

    def __init__(self, pins: PinTable, acceptance: Acceptance) -> None:
        self._pins = pins
        self._acceptance = acceptance
        self.steps: Final = acceptance.steps
        self.keys: Final = acceptance.keys

    def done(self) -> None:
        self._pins.accept(self._acceptance)
