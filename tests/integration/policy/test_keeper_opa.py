"""The keeper with a real OPA: a change on disk takes effect, a broken one changes nothing."""

import asyncio
import shutil
from pathlib import Path

import orjson
import pytest

from outrider.config.paths import shipped_rego
from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError
from outrider.core.ports import Defined
from outrider.policy.keeper import PolicyKeeper
from outrider.policy.policy_source import PolicySource
from tests.support.opa import ENTRYPOINT, running_engine

CLOCK = SystemClock()


def a_copy(folder: Path) -> Path:
    return Path(shutil.copytree(shipped_rego(), folder / "rego"))


def edit(tree: Path, text: str) -> None:
    with (tree / "outrider" / "task.rego").open("a", encoding="utf-8") as handle:
        handle.write(text)


async def answer(keeper: PolicyKeeper) -> tuple[str, str]:
    policy = keeper.active()
    fixture = keeper.release().fixtures["fixtures/mcp_call.yaml"]
    raw = await policy.snapshot.evaluate(
        ENTRYPOINT, orjson.dumps(fixture), CLOCK.monotonic_s() + 5, None
    )
    assert isinstance(raw, Defined), raw
    assert isinstance(raw.value, dict)
    return str(raw.value["effect"]), str(raw.value["revision"])


async def test_a_change_takes_effect_and_a_broken_one_leaves_the_last_good(tmp_path):
    tree = await asyncio.to_thread(a_copy, tmp_path)
    async with running_engine() as running:
        keeper = PolicyKeeper(
            source=PolicySource(path=tree),
            engine=running.engine,
            gate=lambda _: None,
            clock=CLOCK,
            entrypoint=ENTRYPOINT,
        )
        assert await keeper.reload()
        first = keeper.active().revision
        assert await answer(keeper) == ("allow", first)

        await asyncio.to_thread(edit, tree, "\nbroken := no_such_function(1)\n")
        with pytest.raises(ConfigError, match=r"outrider/task\.rego:\d+: .*no_such_function"):
            await keeper.reload()
        assert await answer(keeper) == ("allow", first)
        assert keeper.active().snapshot.expected == {first}

        await asyncio.to_thread(shutil.rmtree, tree)
        await asyncio.to_thread(a_copy, tmp_path)
        await asyncio.to_thread(edit, tree, "\n# another word\n")
        assert await keeper.reload()
        second = keeper.active().revision
        assert second != first
        assert await answer(keeper) == ("allow", second)
