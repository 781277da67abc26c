"""P05: a rule that names a field outside the input schema fails at load, with file and line."""

import pytest

from outrider.core.errors import ConfigError
from tests.support.sidecar import a_world
from tests.support.sidecar_policy import ENGINES, REFUSING, a_policy, write_policy

TYPO = (
    REFUSING
    + """
decision := {"effect": "deny"} if input.resource.propertys.upstream == "crm"
"""
)
LEGAL = REFUSING.replace('default decision := {"effect": "deny"}', "default decision := false")


@pytest.mark.parametrize("engine", ENGINES)
async def test_P05_an_unknown_field_keeps_the_old_revision(engine: str) -> None:
    async with a_world(engine=engine) as world:
        before = world.sidecar.keeper.status().revision
        write_policy(world.policy, a_policy(TYPO))
        line = TYPO.split("\n").index(TYPO.rstrip().split("\n")[-1]) + 1
        with pytest.raises(ConfigError, match=rf"main\.rego:{line}\b.*propertys"):
            await world.sidecar.keeper.reload()
        assert world.sidecar.keeper.status().revision == before
        assert (await world.get("/desk/tickets")).status == 200
        write_policy(world.policy, a_policy(LEGAL))
        assert await world.sidecar.keeper.reload()
        assert world.sidecar.keeper.status().revision != before
        assert (await world.get("/desk/tickets")).status == 200


async def test_P05_at_start_nothing_passes_and_the_line_is_named() -> None:
    async with a_world(a_policy(TYPO)) as world:
        assert "main.rego" in (world.sidecar.keeper.status().last_error or "")
        ready = await world.telemetry("/readyz")
        assert (ready.status, b"propertys" in ready.body) == (503, True)
        async with world.refuses("policy_unavailable"):
            assert (await world.get("/desk/tickets")).status == 503
