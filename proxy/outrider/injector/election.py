"""Who of several replicas renews: what a Lease says, judged by our own clock alone. Free of I/O.

Law: nobody's clock is compared with anybody else's. A holder is gone once its Lease has not moved
for `lease_s` of our own monotonic time; the instants inside are for people to read.
"""

from dataclasses import dataclass
from enum import Enum

from outrider.core.clock import rfc3339
from outrider.core.jsonvalue import JsonObject


class Standing(Enum):
    LEADS = "leads"
    """It is ours: renew it."""
    FREE = "free"
    """Nobody holds it, or who did is silent: take it."""
    FOLLOWS = "follows"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    holder: str
    renewed: str
    transitions: int


class Election:
    """One replica's view of the Lease."""

    def __init__(self, *, identity: str, lease_s: int) -> None:
        self._identity = identity
        self._lease_s = lease_s
        self._seen: _Seen | None = None
        self._since_s = 0.0
        self._acquired: str | None = None

    def look(self, spec: JsonObject, now_s: float) -> Standing:
        """How we stand by the Lease's `spec`, as it is at the monotonic instant `now_s`."""
        seen = _read(spec)
        if seen != self._seen:
            self._seen, self._since_s = seen, now_s
        if seen.holder == self._identity:
            return Standing.LEADS
        if not seen.holder or now_s - self._since_s >= self._lease_s:
            return Standing.FREE
        return Standing.FOLLOWS

    def claim(self, standing: Standing, unix_s: float) -> JsonObject:
        """The `spec` that renews the Lease, or takes it."""
        seen = self._seen or _read({})
        now = rfc3339(unix_s)
        if standing is not Standing.LEADS or self._acquired is None:
            self._acquired = now
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._lease_s,
            "acquireTime": self._acquired,
            "renewTime": now,
            "leaseTransitions": seen.transitions + (standing is not Standing.LEADS),
        }

    def release(self, unix_s: float) -> JsonObject:
        """The `spec` that lets go of it, so that another need not wait."""
        return {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": rfc3339(unix_s)}


def _read(spec: JsonObject) -> _Seen:
    holder, renewed = spec.get("holderIdentity"), spec.get("renewTime")
    transitions = spec.get("leaseTransitions")
    return _Seen(
        holder=holder if isinstance(holder, str) else "",
        renewed=renewed if isinstance(renewed, str) else "",
        transitions=transitions if isinstance(transitions, int) else 0,
    )
