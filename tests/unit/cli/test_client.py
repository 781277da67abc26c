"""The control listener's client: right address, right token, clear words for what is wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from outrider.cli.client import ControlClient, ControlError, NotRunningError
from outrider.config.listener_settings import Listener
from outrider.config.load import Loaded, load
from outrider.control.http import Edge, Request, Response
from outrider.core.jsonvalue import JsonObject
from tests.support.command import outrider, write_settings

TOKEN = "t" * 43
Answer = TypeVar("Answer")


class Sidecar:
    """A control listener that answers as it is told and remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.response = Response(status=200, body=b'{"ok":true}')

    async def handle(self, request: Request) -> Response:
        self.requests.append(replace(request, body=await request.read_body(), source=None))
        return self.response


@asynccontextmanager
async def listening(sidecar: Sidecar, listener: Listener) -> AsyncIterator[Edge]:
    edge = Edge(name="control", listener=listener, handler=sidecar.handle)
    await edge.start()
    try:
        yield edge
    finally:
        for _ in range(10):
            await asyncio.sleep(0)  # a caller that came and left is still to be taken in
        await edge.stop()


def settings_of(room: Path, control: JsonObject, *, token: str | None = TOKEN) -> Loaded:
    path = write_settings(room, listeners={"control": control})
    data = room / "data"
    data.mkdir(exist_ok=True)
    if token is not None:
        file = data / "control.token"
        file.write_text(token)
        file.chmod(0o600)
    return load(path, {})


async def asked(
    room: Path, sidecar: Sidecar, ask: Callable[[ControlClient], Answer], **changes: str | None
) -> Answer:
    async with listening(sidecar, Listener(addresses=("127.0.0.1:0",))) as edge:
        control: JsonObject = {"addresses": [edge.addresses[0]]}
        return await asyncio.to_thread(
            lambda: ask(ControlClient(settings_of(room, control, **changes)))
        )


async def test_asks_with_the_token_and_reads_the_answer(tmp_path: Path) -> None:
    sidecar = Sidecar()

    found = await asked(tmp_path, sidecar, lambda client: client.get("/v1/x", {"a": "b c&d"}))

    assert found == {"ok": True}
    (request,) = sidecar.requests
    assert (request.method, request.path, request.query) == ("GET", "/v1/x", "a=b+c%26d")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"


async def test_posts_json(tmp_path: Path) -> None:
    sidecar = Sidecar()
    await asked(tmp_path, sidecar, lambda client: client.post("/v1/x", {"n": None}))
    assert (sidecar.requests[0].method, sidecar.requests[0].body) == ("POST", b'{"n":null}')


async def test_a_unix_socket_is_asked_too(tmp_path: Path) -> None:
    sidecar = Sidecar()
    socket = tmp_path / "c.sock"
    async with listening(sidecar, Listener(unix=str(socket), unix_mode=0o600)):
        control: JsonObject = {"addresses": [], "unix": "c.sock"}
        found = await asyncio.to_thread(
            lambda: ControlClient(settings_of(tmp_path, control)).get("/v1/x")
        )
    assert found == {"ok": True}


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        pytest.param(401, b'{"error":"unauthenticated"}', "refused the token in", id="token"),
        pytest.param(400, b'{"error":"give {name}"}', "give {name}", id="its-own-words"),
        pytest.param(500, b"", "says 500", id="nothing-said"),
        pytest.param(200, b"<html>", "not JSON", id="no-json"),
    ],
)
async def test_a_refusal_is_told(tmp_path: Path, status: int, body: bytes, said: str) -> None:
    sidecar = Sidecar()
    sidecar.response = Response(status=status, body=body)
    with pytest.raises(ControlError, match=said):
        await asked(tmp_path, sidecar, lambda client: client.get("/v1/x"))


async def test_an_answer_that_is_no_object_is_an_empty_one(tmp_path: Path) -> None:
    sidecar = Sidecar()
    sidecar.response = Response(status=200, body=b"[1]")
    assert await asked(tmp_path, sidecar, lambda client: client.get("/v1/x")) == {}


async def test_a_token_that_is_missing_is_named(tmp_path: Path) -> None:
    sidecar = Sidecar()
    with pytest.raises(ControlError, match=r"control\.token: the control token cannot be read"):
        await asked(tmp_path, sidecar, lambda client: client.get("/v1/x"), token=None)
    assert sidecar.requests == []


async def test_a_token_that_others_may_read_is_not_sent(tmp_path: Path) -> None:
    sidecar = Sidecar()

    def ask(client: ControlClient) -> JsonObject:
        (tmp_path / "data" / "control.token").chmod(0o644)
        return client.get("/v1/x")

    with pytest.raises(ControlError, match="others may read it"):
        await asked(tmp_path, sidecar, ask)
    assert sidecar.requests == []


def test_where_nothing_listens_it_says_how_to_start(tmp_path: Path) -> None:
    loaded = settings_of(tmp_path, {"addresses": ["127.0.0.1:1"], "unix": "none.sock"})
    with pytest.raises(NotRunningError, match=r"none\.sock or 127\.0\.0\.1:1; start it with"):
        ControlClient(loaded).get("/v1/x")


@pytest.mark.parametrize(
    "words", [("policy", "status"), ("pins", "list"), ("pins", "diff", "a", "b")], ids=" ".join
)
def test_commands_say_so_and_exit_1(tmp_path: Path, words: tuple[str, ...]) -> None:
    path = write_settings(tmp_path, listeners={"control": {"addresses": ["127.0.0.1:1"]}})
    said = outrider(*words, "--config", path)
    assert said.code == 1
    assert "outrider is not running at 127.0.0.1:1; start it with `outrider run`" in said.err
