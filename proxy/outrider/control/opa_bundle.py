"""OPA's bundle as an operation: given to the child's own token, to no other, and only read.

It stands on the control listener; where that is a Unix socket, which OPA cannot dial, on a loopback
port of its own (POLICY §3). The answer is the same.
"""

from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from outrider.config.listener_settings import Listener
from outrider.control.api import Call, ControlApi, Counted, Endpoint, Note
from outrider.control.http import Edge, Response
from outrider.policy.opa_bundles import CONTENT_TYPE, FOLDER, RESOURCE, BundleFeed, BundleSource

HOLDER: Final = "opa"
"""The name of the token that opens it."""


def bundle_endpoint(source: BundleSource) -> Endpoint:
    """The bundle of `source` by ETag, held as long as `Prefer: wait=` asks."""
    return Endpoint(
        method="GET", path=f"{FOLDER}/{RESOURCE}", run=partial(_give, source), token=HOLDER
    )


async def serve_alone(
    stack: AsyncExitStack,
    feed: BundleFeed,
    *,
    note: Note = lambda _operation, _result: None,
    counted: Counted = lambda _result: None,
) -> str:
    """Serve `feed`, and nothing else, on a loopback port of the system's choice until `stack`
    closes; its origin. Raises `ConfigError`."""
    api = ControlApi(
        endpoints=(bundle_endpoint(feed.source),),
        tokens={HOLDER: feed.token},
        refused_uids=frozenset(),
        note=note,
        counted=counted,
    )
    edge = Edge(name="control", listener=Listener(addresses=("127.0.0.1:0",)), handler=api.handle)
    await edge.start()
    stack.push_async_callback(edge.stop)
    origin = edge.origin
    assert origin is not None  # noqa: S101 - it has one address, and it is TCP
    return origin


async def _give(source: BundleSource, call: Call) -> Response:
    etag = call.headers.get("if-none-match") or None
    offered = await source.poll(etag, _wait_s(call.headers.get("prefer", "")))
    return Response(
        status=offered.status,
        body=offered.body,
        content_type=CONTENT_TYPE,
        headers=(("etag", offered.etag),) if offered.etag else (),
    )


def _wait_s(prefer: str) -> int:
    """The `wait=` of OPA's `Prefer` header in whole seconds; 0 where there is none."""
    for part in prefer.split(";"):
        name, _, value = part.strip().partition("=")
        if name == "wait" and value.isascii() and value.isdigit() and len(value) < 6:
            return int(value)
    return 0
