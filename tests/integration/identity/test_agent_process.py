"""An agent that is a process: read from files, killed without warning, started again."""

import asyncio
import hashlib
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.sourced import sourced
from tests.support.spiffe_ca import a_ca
from tests.support.svid_directory import write_svid

ROOT = Path(__file__).parents[3]
A, B = a_ca("a.test"), a_ca("b.test")


@asynccontextmanager
async def _agent(base):
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.fake_workload_api",
        "--socket",
        str(base / "a.sock"),
        "--directory",
        str(base / "svid"),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        async with asyncio.timeout(30):
            assert await child.stdout.readline() == f"READY unix://{base / 'a.sock'}\n".encode()
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


@pytest.fixture
def base():
    with tempfile.TemporaryDirectory(prefix="wl") as directory:
        yield Path(directory)


async def test_files_reach_us_through_it_and_its_death_takes_nothing(base, capfd):
    write_svid(base / "svid", A, federated=[B])
    async with sourced(f"unix:{base / 'a.sock'}") as source:
        async with _agent(base) as child:
            await source.wait_state("serving")
            assert set(source.keeper.snapshot().x509) == {"a.test", "b.test"}
            leaf = hashlib.sha256(write_svid(base / "svid", A).der).hexdigest()
            await source.wait(lambda: source.keeper.own().leaf_sha256 == leaf)
            child.kill()
            await source.wait_state("disconnected")
            assert (base / "a.sock").exists()
            assert source.keeper.own().leaf_sha256 == leaf
        async with _agent(base):
            await source.wait_state("serving")
            (base / "svid" / "deny").touch()
            await source.wait_state("redacted")
            (base / "svid" / "deny").unlink()
            await source.wait_state("serving")
    assert capfd.readouterr().err == ""
