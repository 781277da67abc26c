"""The bundle's operation over real loopback sockets: token, ETag, held polls, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from outrider.config.listener_settings import Listener
from outrider.control.api import Call, ControlApi, Endpoint, answer
from outrider.control.http import Edge, Response
from outrider.control.opa_bundle import HOLDER, bundle_endpoint, serve_alone
from outrider.core.secret import Secret
from outrider.policy.opa_bundles import CONTENT_TYPE, BundleFeed
from outrider.policy.release import bundle_bytes
from tests.support.net import RawAnswer, RawClient
from tests.support.opa import TOKEN, a_feed, a_release

OPERATOR = "o" * 43
PATH = "/v1/opa/bundle.tar.gz"


@dataclass(slots=True)
class Door:
    """A listener that gives the bundle, and what it recorded."""

    feed: BundleFeed
    origin: str = ""
    noted: list[tuple[str, str]] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)

    def note(self, operation: str, result: str) -> None:
        self.noted.append((operation, result))

    async def ask(
        self,
        path: str = PATH,
        *,
        method: str = "GET",
        token: str | None = TOKEN,
        etag: str | None = None,
        wait_s: int = 0,
    ) -> RawAnswer:
        address = self.origin.removeprefix("http://")
        host, _, port = address.rpartition(":")
        lines = [f"{method} {path} HTTP/1.1", f"Host: {address}"]
        lines += [f"Authorization: Bearer {token}"] if token is not None else []
        lines += [f"If-None-Match: {etag}"] if etag else []
        lines += [f"Prefer: modes=snapshot,delta;wait={wait_s}"] if wait_s else []
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            client = RawClient(reader, writer)
            await client.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
            return await client.answer()
        finally:
            writer.close()
            await writer.wait_closed()


async def _status(_: Call) -> Response:
    return answer({"version": "1"})


@pytest.fixture(params=["control", "alone"])
async def door(request: pytest.FixtureRequest) -> AsyncIterator[Door]:
    """The control listener, and the port that stands in for it: the same answers."""
    made = Door(feed=a_feed())
    async with AsyncExitStack() as stack:
        if request.param == "alone":
            made.origin = await serve_alone(
                stack, made.feed, note=made.note, counted=made.counted.append
            )
        else:
            made.origin = await _on_control(stack, made)
        yield made


async def _on_control(stack: AsyncExitStack, door: Door) -> str:
    api = ControlApi(
        endpoints=(
            Endpoint(method="GET", path="/v1/status", run=_status),
            bundle_endpoint(door.feed.source),
        ),
        tokens={"operator": Secret(OPERATOR), HOLDER: door.feed.token},
        refused_uids=frozenset(),
        note=door.note,
        counted=door.counted.append,
    )
    listener = Listener(addresses=("127.0.0.1:0",))
    edge = Edge(name="control", listener=listener, handler=api.handle)
    await edge.start()
    stack.push_async_callback(edge.stop)
    assert edge.origin is not None
    return edge.origin


async def test_opa_gets_the_bundle_whole_then_not_again(door: Door) -> None:
    etag = door.feed.source.offer(a_release("r1"))

    whole = await door.ask()
    again = await door.ask(etag=etag)

    assert (whole.status, whole.body) == (200, bundle_bytes(a_release("r1")))
    assert (again.status, again.body) == (304, b"")
    for given in (whole, again):
        assert (given.field("etag"), given.field("content-type")) == (etag, CONTENT_TYPE)
    assert door.noted == []  # its polls are not the chain's; the policy it is given is
    assert door.counted == ["ok", "ok"]


async def test_a_poll_is_held_until_there_is_something_new(door: Door) -> None:
    first = door.feed.source.offer(a_release("r1"))
    async with asyncio.TaskGroup() as group:
        held = group.create_task(door.ask(etag=first, wait_s=30))
        assert (await door.ask(etag=first)).status == 304  # by then the other has been read
        assert not held.done()
        second = door.feed.source.offer(a_release("r2"))
    assert (held.result().status, held.result().field("etag")) == (200, second)


async def test_before_the_first_release_there_is_nothing(door: Door) -> None:
    given = await door.ask()
    assert (given.status, given.body, given.field("etag")) == (404, b"", None)


@pytest.mark.parametrize(
    ("asked", "status", "noted"),
    [
        pytest.param({"token": None}, 401, "unauthenticated", id="no-token"),
        pytest.param({"token": "x" * 43}, 401, "unauthenticated", id="wrong-token"),
        pytest.param({"token": TOKEN + "t"}, 401, "unauthenticated", id="it-and-more"),
        pytest.param({"token": ""}, 401, "unauthenticated", id="empty-token"),
        pytest.param({"path": "/v1/opa"}, 404, "unknown", id="its-folder"),
        pytest.param({"path": "/v1/opa/logs"}, 404, "unknown", id="another-path"),
        pytest.param({"method": "POST"}, 405, "method", id="writing"),
        pytest.param({"method": "DELETE"}, 405, "method", id="deleting"),
    ],
)
async def test_anything_else_gets_nothing_and_is_recorded(
    door: Door, asked: dict[str, str], status: int, noted: str
) -> None:
    door.feed.source.offer(a_release("r1"))

    given = await door.ask(**asked)  # type: ignore[arg-type]

    assert given.status == status
    assert bundle_bytes(a_release("r1")) not in given.body
    assert given.field("etag") is None
    assert [result for _, result in door.noted] == [noted]


@pytest.mark.parametrize("door", ["control"], indirect=True)
async def test_neither_token_opens_what_is_the_others(door: Door) -> None:
    door.feed.source.offer(a_release("r1"))

    operators = [await door.ask(token=OPERATOR), await door.ask("/v1/status", token=OPERATOR)]
    opas = [await door.ask(), await door.ask("/v1/status")]

    assert [given.status for given in operators] == [403, 200]
    assert [given.status for given in opas] == [200, 403]
    assert door.noted == [
        ("GET /v1/opa/bundle.tar.gz", "forbidden"),
        ("GET /v1/status", "ok"),
        ("GET /v1/status", "forbidden"),
    ]


@pytest.mark.parametrize("door", ["alone"], indirect=True)
async def test_the_port_of_its_own_is_on_loopback_and_serves_nothing_else(door: Door) -> None:
    assert door.origin.startswith("http://127.0.0.1:")
    assert (await door.ask("/v1/status")).status == 404


@pytest.mark.parametrize(
    ("prefer", "held"),
    [
        pytest.param("wait=30", True, id="alone"),
        pytest.param("modes=snapshot,delta;wait=30", True, id="as-opa-says-it"),
        pytest.param("modes=snapshot; wait=30", True, id="with-a-space"),
        pytest.param("wait=0", False, id="zero"),
        pytest.param("wait=-1", False, id="negative"),
        pytest.param("wait=3000000", False, id="absurd"),
        pytest.param("wait=²", False, id="no-ascii-digit"),
        pytest.param("wait", False, id="no-value"),
        pytest.param("", False, id="nothing"),
    ],
)
async def test_a_poll_waits_only_where_it_asks_to(prefer: str, held: bool) -> None:
    feed = a_feed()
    etag = feed.source.offer(a_release("r1"))
    call = Call(query={}, body=None, headers={"if-none-match": etag, "prefer": prefer})
    async with asyncio.TaskGroup() as group:
        polling = group.create_task(_run(feed, call))
        for _ in range(5):
            await asyncio.sleep(0)
        assert polling.done() is not held
        feed.source.offer(a_release("r1"))
    assert polling.result().status == 304


async def _run(feed: BundleFeed, call: Call) -> Response:
    return await bundle_endpoint(feed.source).run(call)
