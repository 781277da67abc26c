"""Exchanges: how many, how they ended, how long they and we took."""

from collections.abc import Callable, Sequence
from typing import Final

from outrider.core.vocabulary import OUTCOME_OF, Direction, Outcome, ProtocolName, Reason
from outrider.telemetry.families.base import FAST, REQUEST, Children, Families, closed
from outrider.telemetry.tally import Spread

DIRECTIONS: Final = (Direction.EGRESS, Direction.INGRESS)
LIVE_PROTOCOLS: Final = (
    ProtocolName.MCP,
    ProtocolName.HTTP,
    ProtocolName.CONNECT,
    ProtocolName.UNKNOWN,
)
"""Protocols that have an adapter; an exchange in another is counted as `unknown`."""
_TUNNEL: Final = ProtocolName.CONNECT
"""On egress alone; and its caller's silence is no overhead of ours."""
UNROUTED: Final = (Outcome.DENIED, Outcome.INVALID, Outcome.SHED, Outcome.FAULT)
"""How an exchange that no route takes can end."""
WHOLE: Final = ("allowed", "other")
NOTES: Final = {
    "credential_stripped": (
        "agent_credentials_stripped_total",
        "Credentials that agents sent and we took out",
    ),
    "secret_echo": ("secret_echo_total", "Answers that held one of our secrets, and were cut"),
    "definition_changed": ("definition_changes_total", "Tools whose definition is not the pinned"),
    "redacted": ("redactions_total", "Answers that policy had redacted"),
    "hidden": ("list_entries_hidden_total", "Entries left out of lists, which policy would refuse"),
    "notify": ("notifications_total", "Notifications that policy asked for"),
    "bypass_attempt": (
        "capture_bypass_attempts_total",
        "Captured connections refused since no route leads where they were going",
    ),
}
"""Notes of the pipeline: the counter and its help."""
PLAIN: Final = ("credential_stripped", "secret_echo", "bypass_attempt")
"""Notes that are counted without a label."""


class ExchangeFamilies(Families):
    def _declare(self) -> None:
        super()._declare()
        self._traced: Callable[[], str | None] = _untraced
        self._unix_s: Callable[[], float] = float
        routed = [each for each in LIVE_PROTOCOLS if each in self._shape.protocols]
        self._declare_ends(routed)
        self._declare_times(routed)
        flying = self._level(
            "exchanges_in_flight", "Exchanges under way", closed("direction", DIRECTIONS)
        )
        self._flying = {each.value: flying.labels(each.value) for each in DIRECTIONS}
        self._declare_notes()

    def _declare_ends(self, routed: Sequence[ProtocolName]) -> None:
        every = [
            (direction.value, protocol.value, outcome.value)
            for direction in DIRECTIONS
            for protocol in LIVE_PROTOCOLS
            for outcome in Outcome
            if (direction, protocol) != (Direction.INGRESS, _TUNNEL)
        ]
        self._ended = self._closed(
            "exchanges_total",
            "Exchanges by how they ended",
            (
                closed("direction", DIRECTIONS),
                closed("protocol", LIVE_PROTOCOLS),
                closed("outcome", Outcome),
            ),
            every,
            [
                (direction, protocol, outcome)
                for direction, protocol, outcome in every
                if (self._shape.ingress or direction != Direction.INGRESS)
                and (protocol in routed or outcome in UNROUTED)
                and (protocol in routed or protocol == ProtocolName.UNKNOWN)
            ],
        )

    def _declare_times(self, routed: Sequence[ProtocolName]) -> None:
        protocol = closed("protocol", LIVE_PROTOCOLS)
        known = [each.value for each in routed if each is not ProtocolName.UNKNOWN]
        unknown = ProtocolName.UNKNOWN.value
        self._whole = Children(
            self._spread(
                "exchange_duration_seconds",
                "Whole time of an exchange",
                REQUEST,
                protocol,
                closed("outcome", WHOLE),
            ),
            [(each.value, word) for each in LIVE_PROTOCOLS for word in WHOLE],
            [*((each, word) for each in known for word in WHOLE), (unknown, "other")],
        )
        self._own = Children(
            self._spread(
                "proxy_overhead_seconds",
                "Whole time of an exchange less the upstream's and the people's",
                FAST,
                protocol,
            ),
            [(each.value,) for each in LIVE_PROTOCOLS if each != _TUNNEL],
            [(each,) for each in (*known, unknown) if each != _TUNNEL],
        )

    def _declare_notes(self) -> None:
        self._notes = {}
        for event, (name, text) in NOTES.items():
            if event in PLAIN:
                child = self._tally(name, text).labels()
                self._notes.update({(event, each): child for each in ProtocolName})
            elif event == "notify":
                child = self._tally(name, text, closed("result", ("ok", "failed"))).labels("ok")
                self._notes.update({(event, each): child for each in ProtocolName})
            else:
                family = self._tally(name, text, closed("protocol", LIVE_PROTOCOLS))
                for each in ProtocolName:
                    shown = each if each in LIVE_PROTOCOLS else ProtocolName.UNKNOWN
                    self._notes[event, each] = family.labels(shown.value)

    def exchange_ended(
        self,
        *,
        direction: str,
        protocol: ProtocolName,
        reason: Reason | None,
        aborted: bool,
        whole_s: float,
        upstream_s: float,
    ) -> None:
        outcome = Outcome.ABORTED if aborted else Outcome.ALLOWED
        if reason is not None:
            outcome = OUTCOME_OF[reason]
        tunnel = protocol is _TUNNEL
        if protocol not in LIVE_PROTOCOLS or (tunnel and direction == Direction.INGRESS):
            protocol, tunnel = ProtocolName.UNKNOWN, False
        name = protocol._value_
        self._ended[direction, name, outcome._value_].inc()
        word = "allowed" if outcome is Outcome.ALLOWED else "other"
        self._observe(self._whole[name, word], whole_s)
        if not tunnel:
            self._own[name,].observe(max(0.0, whole_s - upstream_s))

    def noted(self, event: str, protocol: ProtocolName) -> None:
        child = self._notes.get((event, protocol))
        if child is not None:
            child.inc()

    def in_flight(self, delta: int, direction: str) -> None:
        self._flying[direction].inc(delta)

    # --- exemplars ----------------------------------------------------------------------

    def link_traces(self, traced: Callable[[], str | None], unix_s: Callable[[], float]) -> None:
        """From now on observations of whole exchanges and of decisions carry the trace that
        `traced` names, which is one that is sampled; `None` where there is none."""
        self._traced, self._unix_s = traced, unix_s

    def _observe(self, spread: Spread, seconds: float) -> None:
        trace_id = self._traced()
        if trace_id is None:
            spread.observe(seconds)
        else:
            spread.observe_traced(seconds, trace_id, self._unix_s())


def _untraced() -> None:
    return None
