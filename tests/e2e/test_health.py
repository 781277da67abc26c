"""OPERATIONS §10: each condition of readiness fails alone and is named; none is liveness."""

from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest

from outrider.app import Sidecar
from outrider.core.errors import EnforcementError
from outrider.core.jsonvalue import JsonObject
from outrider.core.vocabulary import Reason
from tests.support.sidecar import World, a_world

READS_ON: JsonObject = {"stores": {"on_loss": "read"}}


def _unbound(sidecar: Sidecar) -> None:
    sidecar.listening = False


def _stale(sidecar: Sidecar) -> None:
    def active() -> None:
        raise EnforcementError("unconfirmed for too long", reason=Reason.POLICY_STALE)

    sidecar.keeper.active = active  # type: ignore[assignment]


def _no_records(sidecar: Sidecar) -> None:
    sidecar.audit.healthy = lambda: False  # type: ignore[method-assign]


def _no_store(sidecar: Sidecar) -> None:
    sidecar.state = replace(sidecar.state, stored=lambda: False)


def _draining(sidecar: Sidecar) -> None:
    sidecar.draining = True


BROKEN = [
    pytest.param(_unbound, "listeners", "not bound yet", id="listeners"),
    pytest.param(_stale, "policy", "unconfirmed for too long", id="policy"),
    pytest.param(_no_records, "audit", "records cannot be written", id="audit"),
    pytest.param(_no_store, "store", "the store does not answer", id="store"),
    pytest.param(_draining, "drain", "draining", id="drain"),
]


async def _states(world: World) -> dict[str, JsonObject]:
    shown = orjson.loads((await world.telemetry("/readyz?format=json")).body)
    return {one["name"]: one for one in shown}


@pytest.mark.parametrize(("broken", "name", "why"), BROKEN)
async def test_each_condition_fails_alone_and_is_named(
    broken: Callable[[Sidecar], None], name: str, why: str
) -> None:
    async with a_world() as world:
        ready = await world.telemetry("/readyz")
        assert (ready.status, ready.body) == (200, b"ok\n")
        broken(world.sidecar)

        told = await world.telemetry("/readyz")
        states = await _states(world)

        assert (told.status, told.body) == (503, f"{name}: {why}\n".encode())
        assert [one for one, state in states.items() if not state["ok"]] == [name]
        assert (states[name]["state"], states[name]["detail"]) == ("missing", why)
        assert str(states[name]["since"]).endswith("Z")
        assert (await world.telemetry("/livez")).status == 200
        world.sidecar.listening = True


async def test_a_lost_store_is_no_cause_where_reads_go_on() -> None:
    async with a_world(settings=READS_ON) as world:
        _no_store(world.sidecar)
        told = await world.telemetry("/readyz")
        assert (told.status, told.body) == (
            200,
            b"ok\nstore: degraded: the store does not answer\n",
        )


async def test_a_loop_that_stood_still_is_not_live() -> None:
    async with a_world() as world:
        world.sidecar.watchdog.lag_s = lambda: 4.9  # type: ignore[method-assign]
        world.sidecar.health._lag_s = world.sidecar.watchdog.lag_s
        assert (await world.telemetry("/livez")).status == 200
        world.sidecar.health._lag_s = lambda: 5.0
        dead = await world.telemetry("/livez")
        assert (dead.status, dead.body) == (503, b"the event loop is blocked\n")
