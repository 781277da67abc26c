"""The issue's show: `outrider audit verify` names the first bad record after any one byte."""

import asyncio
import random
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from outrider.cli.main import build
from tests.support.audit import lines_of
from tests.support.sidecar import a_world
from tests.support.sidecar_mcp import call

FLIPS = 200
SEED = 20_261_123


async def test_verify_names_the_first_bad_record_after_any_byte_is_changed(tmp_path: Path) -> None:
    async with a_world() as world:
        for number in range(5):
            await world.raw(world.legacy(call("update", {"text": f"{number}"})))
            await world.get("/desk/tickets")
            await world.get("/desk/undeclared")
        await world.quiet()
        shutil.copytree(world.audit, tmp_path / "good")
    await asyncio.to_thread(_flip_and_verify, tmp_path)


def _verified(folder: Path) -> tuple[int, str]:
    done = CliRunner().invoke(build("audit"), ["audit", "verify", str(folder)])
    return done.exit_code, done.output


def _flip_and_verify(room: Path) -> None:
    assert _verified(room / "good")[0] == 0
    lines = lines_of(room / "good")
    data = b"".join(lines)
    starts = [sum(map(len, lines[:index])) for index in range(len(lines))]
    assert len(lines) > 30
    random_ = random.Random(SEED)  # noqa: S311 - the same bytes each time
    bad = room / "bad"
    bad.mkdir()
    for _ in range(FLIPS):
        place = random_.randrange(len(data))
        byte = random_.choice([b for b in range(256) if b != data[place]])
        changed = data[:place] + bytes([byte]) + data[place + 1 :]
        (bad / "000001.jsonl").write_bytes(changed)
        index = max(i for i, start in enumerate(starts) if start <= place)
        code, said = _verified(bad)
        assert (code, f"index {index}," in said) == (1, True), (place, byte, index, said)


async def test_verify_of_a_live_chain_changes_nothing(tmp_path: Path) -> None:
    async with a_world() as world:
        await world.get("/desk/tickets")
        await world.quiet()
        before = lines_of(world.audit)
        code, _ = await asyncio.to_thread(_verified, world.audit)
        assert (code, lines_of(world.audit)) == (0, before)
        assert (await world.get("/desk/tickets")).status == 200


@pytest.mark.parametrize("missing", ["first", "middle", "last"])
async def test_a_record_that_is_taken_out_is_missed(tmp_path: Path, missing: str) -> None:
    async with a_world() as world:
        for _ in range(3):
            await world.get("/desk/tickets")
        await world.quiet()
        lines = lines_of(world.audit)
    place = {"first": 0, "middle": len(lines) // 2, "last": len(lines) - 2}[missing]
    (tmp_path / "000001.jsonl").write_bytes(b"".join(lines[:place] + lines[place + 1 :]))
    code, said = await asyncio.to_thread(_verified, tmp_path)
    assert (code, f"index {place}," in said) == (1, True)
