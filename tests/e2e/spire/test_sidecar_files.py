"""The two sidecars of `deploy/spire/sidecars`, on those very files, as its README starts them."""

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from outrider.cli.demo.children import Child
from outrider.cli.demo.spire.nodes import Ground
from outrider.cli.demo.spire.users import as_user
from outrider.config.paths import shipped_spire
from tests.support.net import RawAnswer, RecordingUpstream, dialled
from tests.support.sidecar import records_in
from tests.support.spire import PLENTY_S, Realm, a_user, within

pytestmark = [pytest.mark.spire, pytest.mark.timeout(120)]
SIDECARS = shipped_spire() / "sidecars"
NAMES = ("planner", "tracker")
OFFERED = {"planner": "plans", "tracker": "tickets"}


def _settings(name: str) -> Any:
    return yaml.safe_load((SIDECARS / name / "outrider.yaml").read_text("utf-8"))


def _port(name: str, listener: str) -> int:
    (address,) = _settings(name)["listeners"][listener]["addresses"]
    return int(address.rpartition(":")[2])


def _behind(name: str) -> int:
    return int(_settings(name)["upstreams"][name]["url"].rpartition(":")[2])


def _ports() -> Iterator[int]:
    for name in NAMES:
        yield from (_port(name, listener) for listener in _settings(name)["listeners"])
        yield _behind(name)


def _skip_where_taken() -> None:
    for port in _ports():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                pytest.skip(f"something else has port {port}, which these files name")


async def _get(port: int, path: str) -> RawAnswer:
    async with dialled(port) as client:
        await client.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        return await client.answer()


class _Agent(RecordingUpstream):
    """An agent where the files say that it is."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self


@asynccontextmanager
async def _running(ground: Ground, realm: Realm) -> AsyncIterator[Path]:
    """Both sidecars, ready; the folder with what they were started from."""
    room = ground.home / "outrider"
    users = {name: a_user() for name in NAMES}
    for name, uid in users.items():
        await realm.grant(f"/{name}", uid)
    children: dict[str, Child] = {}
    try:
        await asyncio.to_thread(_start, room, users, realm.agent.address, children)
        for name, child in children.items():
            await within(PLENTY_S, partial(_is_up, name, child), f"{name} is ready")
        yield room
    finally:
        await asyncio.to_thread(_end, room, children)


def _start(room: Path, users: dict[str, int], address: str, children: dict[str, Child]) -> None:
    shutil.copytree(SIDECARS, room)
    environ = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(room),
        "SPIFFE_ENDPOINT_SOCKET": address,
    }
    program = str(Path(sys.executable).with_name("outrider"))
    for name, uid in users.items():
        (room / name / "data").mkdir()
        os.chown(room / name / "data", uid, uid)
        words = as_user(uid, [program, "run", "--config", str(room / name / "outrider.yaml")])
        log = room / f"{name}.log"
        children[name] = Child(name, words, log=log, environ=environ, is_read=False)


def _end(room: Path, children: dict[str, Child]) -> None:
    for child in children.values():
        child.close()
    shutil.rmtree(room)


async def _is_up(name: str, child: Child) -> bool:
    if not child.is_running():
        raise await asyncio.to_thread(child.broken, "ended")
    try:
        return (await _get(_port(name, "telemetry"), "/readyz")).status == 200
    except (OSError, asyncio.IncompleteReadError):
        return False


def test_no_two_places_are_the_same() -> None:
    ports = list(_ports())
    assert len(set(ports)) == len(ports) == 10


@pytest.mark.parametrize("name", NAMES)
def test_an_agents_own_upstream_has_the_name_that_its_callers_give_it(name: str) -> None:
    (other,) = set(NAMES) - {name}
    assert set(_settings(name)["upstreams"]) == set(NAMES)
    assert _settings(name)["upstreams"][name]["direction"] == "ingress"
    called = _settings(other)["upstreams"][name]
    assert called["url"] == f"https://127.0.0.1:{_port(name, 'ingress')}"
    assert called["tls"] == {"spiffe": {"expect": [f"spiffe://a.test/{name}"]}}
    assert (SIDECARS / f"policy/outrider/manifest/{name}/data.yaml").is_file()


async def test_as_the_readme_has_it_each_calls_the_other_and_asks_no_more(
    ground: Ground, realm: Realm
) -> None:
    """What is refused never reaches the other's agent, and the callee knows who called."""
    _skip_where_taken()
    async with (
        _Agent(port=_behind("planner")) as planner,
        _Agent(port=_behind("tracker")) as tracker,
        _running(ground, realm) as room,
    ):
        behind = {"planner": planner, "tracker": tracker}
        for caller, called in (NAMES, NAMES[::-1]):
            egress = _port(caller, "egress")
            answer = await _get(egress, f"/{called}/{OFFERED[called]}")
            assert (answer.status, answer.body) == (200, b"ok"), answer
            assert (await _get(egress, f"/{called}/other")).status in (403, 404)
            assert [seen.line for seen in behind[called].seen] == [
                f"GET /{OFFERED[called]} HTTP/1.1"
            ]
            came = [
                one
                for one in records_in(room / called / "data" / "audit", "decision")
                if one["direction"] == "ingress"
            ]
            assert [one["subject"]["id"] for one in came] == [f"spiffe://a.test/{caller}"]
