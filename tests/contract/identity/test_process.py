"""conf_EP-1 and the harness contract, version 1: a process of its own, reached by its ports."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.contract.identity.stage import (
    AUDIENCE,
    HOME,
    OWN_ID,
    End,
    Ports,
    an_agent,
    entry,
    token,
    until,
)
from tests.support.jwt import a_bundle, a_key
from tests.support.spiffe_ca import a_ca

ROOT: Final = Path(__file__).parents[3]
START_S: Final = 30.0
END_S: Final = 5.0


@asynccontextmanager
async def a_process(address: str) -> AsyncIterator[Process]:
    """The harness, told of nothing but `SPIFFE_ENDPOINT_SOCKET`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.spiffe_harness",
        cwd=ROOT,
        env={"PATH": os.environ.get("PATH", ""), "SPIFFE_ENDPOINT_SOCKET": address},
        stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def announced(process: Process, last: str) -> dict[str, str]:
    """What it prints up to the line that begins with `last`."""
    assert process.stdout is not None
    said: dict[str, str] = {}
    async with asyncio.timeout(START_S):
        while last not in said:
            line = await process.stdout.readline()
            assert line, "it ended"
            name, _, value = line.decode().rstrip("\n").partition("=")
            said[name] = value
    return said


async def test_conf_EP_1_the_endpoint_is_found_by_the_environment_and_the_contract_kept() -> None:
    ca, key = a_ca("a.test"), a_key()
    async with an_agent() as agent, a_process(agent.address) as process:
        said = await announced(process, "SPIFFE_CONTROL_PORT")
        agent.push_x509(entry(ca.svid("/workload"), ca))
        agent.push_jwt_bundles({HOME: a_bundle(key.jwk())})
        agent.mint = lambda audience, _: [(OWN_ID, token(key, aud=list(audience)))]
        said |= await announced(process, "READY")
        assert next(iter(said)) == "SPIFFE_HARNESS_VERSION"
        assert said["SPIFFE_HARNESS_VERSION"] == "1"
        ports = Ports(
            ca=ca, x509=int(said["SPIFFE_X509_PORT"]), control=int(said["SPIFFE_CONTROL_PORT"])
        )
        assert (await ports.probe()).shown_id == OWN_ID
        await check_control(ports, token(key), token(a_key()))
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(END_S):
            assert await process.wait() == 0


async def check_control(ports: Ports, right: str, wrong: str) -> None:
    """Each operation of the control port takes a right one, rejects a wrong one, and calls what it
    could not do an error."""

    async def taken() -> bool:
        return (await ports.validate(right)).status == 200

    await until(taken)
    assert (await ports.validate(right)).body["spiffe_id"] == OWN_ID
    assert (await ports.validate(wrong)).status == 422
    assert (await ports.fetch(AUDIENCE)).body["svids"][0]["spiffe_id"] == OWN_ID
    assert await ports.takes(End.CLIENT, ports.ca.svid("/server")) == f"{HOME}/server"
    assert await ports.takes(End.CLIENT, ports.ca.svid("")) is None
    for path in ("/v1/jwt/validate", "/v1/jwt/fetch", "/v1/x509/dial"):
        assert (await ports.post(path, {})).status == 500
