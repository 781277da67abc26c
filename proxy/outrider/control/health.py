"""Readiness and liveness: what is missing, in words (OPERATIONS §10)."""

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from outrider.control.http import Request, Response
from outrider.core.clock import rfc3339
from outrider.core.ports import Clock
from outrider.telemetry.exposition import Exposition

_LAG_LIMIT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One condition of readiness: None when it holds, else what is missing in a sentence."""

    name: str
    missing: Callable[[], str | None]


class Health:
    """The checks, and since when each has been as it is."""

    def __init__(self, checks: tuple[Check, ...], clock: Clock, lag_s: Callable[[], float]) -> None:
        self._checks = checks
        self._clock = clock
        self._lag_s = lag_s
        self._since: dict[str, tuple[str | None, float]] = {}

    def live(self) -> bool:
        """Whether the event loop still turns: nothing else is cured by a restart."""
        return self._lag_s() < _LAG_LIMIT_S

    def missing(self) -> tuple[tuple[str, str], ...]:
        """Name and sentence of every check that fails; empty when ready."""
        return tuple((name, why) for name, why, _ in self.states() if why is not None)

    def states(self) -> list[tuple[str, str | None, float]]:
        found = []
        for check in self._checks:
            why = check.missing()
            before, since = self._since.get(check.name, (None, self._clock.unix_s()))
            if before != why:
                since = self._clock.unix_s()
            self._since[check.name] = (why, since)
            found.append((check.name, why, since))
        return found


class TelemetryPage:
    """`/metrics`, `/livez`, `/readyz`: GET alone, no secrets, nothing else."""

    def __init__(self, health: Health, exposition: Exposition) -> None:
        self._health = health
        self._exposition = exposition

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
            case _:
                return Response(status=404, body=b"not found\n", content_type="text/plain")

    def _ready(self, *, as_json: bool) -> Response:
        states = self._health.states()
        failing = [(name, why) for name, why, _ in states if why is not None]
        status = 503 if failing else 200
        if as_json:
            body = orjson.dumps(
                [
                    {
                        "name": name,
                        "ok": why is None,
                        "detail": why or "ok",
                        "since": rfc3339(since),
                    }
                    for name, why, since in states
                ]
            )
            return Response(status=status, body=body)
        lines = [f"{name}: {why}" for name, why in failing] or ["ok"]
        text = "\n".join(lines) + "\n"
        return Response(status=status, body=text.encode(), content_type="text/plain")
