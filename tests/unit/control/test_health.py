"""Readiness says in words what is missing; liveness is the loop alone; metrics are a GET."""

from functools import partial

import orjson
import pytest
from prometheus_client import CollectorRegistry, Counter

from outrider.control.health import Check, Health, TelemetryPage
from outrider.control.http import Request, Response
from outrider.telemetry.exposition import Exposition
from tests.support.builders import FixedClock

NAMES = ("listeners", "policy", "audit", "store", "drain")


def a_request(path: str, **changes: object) -> Request:
    fields: dict[str, object] = {
        "method": "GET",
        "path": path,
        "query": "",
        "headers": {},
        "body": b"",
        "uid": None,
    }
    return Request(**fields | changes)  # type: ignore[arg-type]


class Room:
    """A page whose checks fail as they are told."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        self.failing: dict[str, str] = {}
        self.lag_s = 0.0
        self.degraded: dict[str, str] = {}
        checks = tuple(
            Check(
                name=name,
                missing=partial(self.failing.get, name),
                degraded=partial(self.degraded.get, name),
                detail=lambda: "serving",
            )
            for name in NAMES
        )
        self.health = Health(checks, self.clock, lambda: self.lag_s)
        registry = CollectorRegistry()
        Counter("outrider_x", "X", registry=registry).inc()
        self.exposition = Exposition(registry, self.clock)
        self.page = TelemetryPage(self.health, self.exposition)

    async def ask(self, path: str, **changes: object) -> Response:
        return await self.page.handle(a_request(path, **changes))


@pytest.fixture(name="room")
def _room() -> Room:
    return Room()


async def test_ready_when_nothing_is_missing(room: Room) -> None:
    response = await room.ask("/readyz")
    assert (response.status, response.body) == (200, b"ok\n")
    assert room.health.missing() == ()


@pytest.mark.parametrize("name", NAMES)
async def test_each_check_fails_alone_and_is_named(room: Room, name: str) -> None:
    room.failing[name] = "it is not there"

    response = await room.ask("/readyz")

    assert (response.status, response.body) == (503, f"{name}: it is not there\n".encode())
    assert room.health.missing() == ((name, "it is not there"),)


@pytest.mark.parametrize("name", NAMES)
async def test_what_is_degraded_is_named_and_leaves_us_ready(room: Room, name: str) -> None:
    room.degraded[name] = "it runs out soon"

    plain = await room.ask("/readyz")
    told = orjson.loads((await room.ask("/readyz", query="format=json")).body)

    assert (plain.status, plain.body) == (200, f"ok\n{name}: degraded: it runs out soon\n".encode())
    assert [one["name"] for one in told if one["state"] == "degraded"] == [name]
    assert all(one["ok"] for one in told)
    assert room.health.missing() == ()
    assert room.health.degraded() == ((name, "it runs out soon"),)


async def test_what_is_missing_is_no_longer_merely_degraded(room: Room) -> None:
    room.degraded["audit"] = room.failing["audit"] = "it is gone"
    room.degraded["store"] = "it is slow"
    response = await room.ask("/readyz")
    assert response.status == 503
    assert response.body == b"audit: it is gone\nstore: degraded: it is slow\n"


async def test_as_json_a_check_that_holds_says_how_it_is(room: Room) -> None:
    told = orjson.loads((await room.ask("/readyz", query="format=json")).body)
    assert {(one["state"], one["detail"]) for one in told} == {("ok", "serving")}


async def test_what_is_missing_does_not_end_a_life(room: Room) -> None:
    room.failing["policy"] = "no policy"
    assert (await room.ask("/livez")).status == 200


@pytest.mark.parametrize(("lag_s", "status"), [(4.99, 200), (5.0, 503), (60.0, 503)])
async def test_a_blocked_loop_alone_fails_liveness(room: Room, lag_s: float, status: int) -> None:
    room.lag_s = lag_s
    assert (await room.ask("/livez")).status == status
    assert (await room.ask("/readyz")).status == 200


async def test_as_json_each_check_says_since_when(room: Room) -> None:
    first = orjson.loads((await room.ask("/readyz", query="format=json")).body)
    room.clock.pass_s(60)
    room.failing["audit"] = "the disk is full"
    second = orjson.loads((await room.ask("/readyz", query="format=json")).body)
    room.clock.pass_s(60)
    third = orjson.loads((await room.ask("/readyz", query="format=json")).body)

    assert [entry["name"] for entry in first] == list(NAMES)
    assert all(entry["ok"] for entry in first)
    before, then, later = (
        next(entry for entry in one if entry["name"] == "audit") for one in (first, second, third)
    )
    assert (then["ok"], then["detail"]) == (False, "the disk is full")
    assert then["since"] > before["since"]
    assert later["since"] == then["since"]


async def test_metrics_are_served_as_the_scraper_reads_them(room: Room) -> None:
    plain = await room.ask("/metrics")
    modern = await room.ask(
        "/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"}
    )

    assert plain.status == modern.status == 200
    assert b"outrider_x_total 1.0" in plain.body
    assert plain.content_type.startswith("text/plain")
    assert modern.content_type.startswith("application/openmetrics-text")
    assert modern.body.endswith(b"# EOF\n")
    room.exposition.close()


@pytest.mark.parametrize("path", ["/", "/metrics/", "/v1/status", "/livez/../metrics", "/METRICS"])
async def test_nothing_else_is_served(room: Room, path: str) -> None:
    assert (await room.ask(path)).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz", "/none"])
async def test_only_get_is_answered(room: Room, path: str, method: str) -> None:
    response = await room.ask(path, method=method)
    assert (response.status, response.body) == (405, b"")
    assert ("allow", "GET") in response.headers
