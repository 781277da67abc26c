"""P02: an empty or missing bundle denies everything, says so on /readyz, and recovers on load."""

import pytest

from outrider.core.errors import ConfigError
from tests.support.sidecar import a_world
from tests.support.sidecar_mcp import call, message_of, reason_of
from tests.support.sidecar_policy import ENGINES, Files, a_policy, write_policy

NOTHING: list[Files] = [
    {},
    {"outrider/agents/data.yaml": {}},
    a_policy("package outrider\n\ndecision :=\n"),
    a_policy("package elsewhere\n\ndecision := true\n"),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("files", NOTHING, ids=["missing", "empty", "broken", "elsewhere"])
async def test_P02_no_policy_means_no_passage(files: Files, engine: str) -> None:
    async with a_world(files, engine=engine) as world:
        ready = await world.telemetry("/readyz")
        assert (ready.status, b"no policy is in force" in ready.body) == (503, True)
        assert (await world.telemetry("/livez")).status == 200
        async with world.refuses("policy_unavailable", count=2):
            http = await world.get("/desk/tickets")
            mcp = await world.raw(world.legacy(call()))
        assert (http.status, reason_of(http), reason_of(mcp)) == (
            503,
            "policy_unavailable",
            "policy_unavailable",
        )
        # A client of the legacy wire sends nothing more after a status of 5xx.
        assert (mcp.status, message_of(mcp)["id"], "result" in message_of(mcp)) == (200, 1, True)
        write_policy(world.policy, a_policy())
        assert await world.sidecar.keeper.reload()
        await world.until(lambda: not world.sidecar.health.missing())
        assert (await world.telemetry("/readyz")).status == 200
        assert (await world.get("/desk/tickets")).status == 200
        assert (await world.raw(world.legacy(call()))).status == 200


async def test_P02_a_bundle_that_goes_away_leaves_the_last_good_one() -> None:
    async with a_world(a_policy(refused=["crm/send"])) as world:
        (world.policy / "outrider" / "main.rego").unlink()
        with pytest.raises(ConfigError):
            await world.sidecar.keeper.reload()
        assert (await world.get("/desk/tickets")).status == 200
        await world.raw(world.legacy(call()))
        async with world.refuses("policy"):
            await world.raw(world.legacy(call("send")))
