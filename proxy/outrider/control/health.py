"""Readiness and liveness: what is missing, in words (OPERATIONS §10)."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import orjson

from outrider.control.http import Request, Response
from outrider.core.clock import rfc3339
from outrider.core.ports import Clock
from outrider.telemetry.exposition import Exposition

_LAG_LIMIT_S = 5.0


def _nothing() -> str | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One condition of readiness: None when it holds, else what is missing in a sentence.

    `degraded` says what is wrong with one that still holds; `detail` how it is while nothing is.
    """

    name: str
    missing: Callable[[], str | None]
    degraded: Callable[[], str | None] = _nothing
    detail: Callable[[], str | None] = _nothing


class CheckState(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"
    """It still holds, and will not for long: ready, and somebody should act."""
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one check is, in a sentence, and since when it is so."""

    name: str
    state: CheckState
    why: str
    since_unix_s: float


class Health:
    """The checks, and since when each has been as it is."""

    def __init__(self, checks: tuple[Check, ...], clock: Clock, lag_s: Callable[[], float]) -> None:
        self._checks = checks
        self._clock = clock
        self._lag_s = lag_s
        self._since: dict[str, tuple[tuple[CheckState, str], float]] = {}

    def live(self) -> bool:
        """Whether the event loop still turns: nothing else is cured by a restart."""
        return self._lag_s() < _LAG_LIMIT_S

    def missing(self) -> tuple[tuple[str, str], ...]:
        """Name and sentence of every check that fails; empty when ready."""
        return self._named(CheckState.MISSING)

    def degraded(self) -> tuple[tuple[str, str], ...]:
        """Name and sentence of every check that holds, but not for long."""
        return self._named(CheckState.DEGRADED)

    def _named(self, state: CheckState) -> tuple[tuple[str, str], ...]:
        return tuple((one.name, one.why) for one in self.states() if one.state is state)

    def states(self) -> list[Standing]:
        found = []
        for check in self._checks:
            seen = _seen(check)
            before = self._since.get(check.name)
            if before is None or before[0] != seen:
                before = self._since[check.name] = (seen, self._clock.unix_s())
            found.append(
                Standing(name=check.name, state=seen[0], why=seen[1], since_unix_s=before[1])
            )
        return found


def _seen(check: Check) -> tuple[CheckState, str]:
    if (why := check.missing()) is not None:
        return CheckState.MISSING, why
    if (why := check.degraded()) is not None:
        return CheckState.DEGRADED, why
    return CheckState.OK, check.detail() or "ok"


class TelemetryPage:
    """`/metrics`, `/livez`, `/readyz`, `/capture`: GET alone, no secrets, nothing else.

    `capture` is what this sidecar says to who verifies that it is the one connections reach.
    """

    def __init__(
        self,
        health: Health,
        exposition: Exposition,
        *,
        capture: Callable[[], bytes] = lambda: b"{}",
    ) -> None:
        self._health = health
        self._exposition = exposition
        self._capture = capture

    async def handle(self, request: Request) -> Response:
        if request.method != "GET":
            return Response(status=405, body=b"", headers=(("allow", "GET"),))
        match request.path:
            case "/metrics":
                kind, body = await self._exposition.render(request.headers.get("accept", ""))
                return Response(status=200, body=body, content_type=kind)
            case "/livez":
                live = self._health.live()
                text = b"ok\n" if live else b"the event loop is blocked\n"
                return Response(status=200 if live else 503, body=text, content_type="text/plain")
            case "/readyz":
                return self._ready(as_json=request.query == "format=json")
            case "/capture":
                return Response(status=200, body=self._capture())
            case _:
                return Response(status=404, body=b"not found\n", content_type="text/plain")

    def _ready(self, *, as_json: bool) -> Response:
        states = self._health.states()
        failing = [one for one in states if one.state is CheckState.MISSING]
        status = 503 if failing else 200
        if as_json:
            body = orjson.dumps(
                [
                    {
                        "name": one.name,
                        "ok": one.state is not CheckState.MISSING,
                        "state": one.state.value,
                        "detail": one.why,
                        "since": rfc3339(one.since_unix_s),
                    }
                    for one in states
                ]
            )
            return Response(status=status, body=body)
        lines = [f"{one.name}: {one.why}" for one in failing] or ["ok"]
        lines += [
            f"{one.name}: degraded: {one.why}" for one in states if one.state is CheckState.DEGRADED
        ]
        text = "\n".join(lines) + "\n"
        return Response(status=status, body=text.encode(), content_type="text/plain")
