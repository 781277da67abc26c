"""Sources that misbehave over real sockets: the policy in force stays, and it is said why."""

import asyncio
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from outrider.core.errors import ConfigError
from outrider.policy.delivery import Pace
from tests.e2e.delivery.test_delivery import fetched, keys, packed
from tests.support.bundles import (
    LAYER,
    FakeRegistry,
    FakeWeb,
    a_bundle,
    a_manifest,
    a_signing_key,
    digest_of,
    reply,
)
from tests.support.net import Seen
from tests.support.sidecar import World, a_world

__all__ = ["keys"]

NEXT = a_bundle(sequence=2, revision="next")
# A bit of the checksum: one of the last byte of the stream before it may mean nothing.
TAMPERED = NEXT[:-8] + bytes([NEXT[-8] ^ 1]) + NEXT[-7:]
CUT = reply("200 OK", NEXT)[:-40]


@dataclass(frozen=True)
class Bad:
    """What is said instead of the next bundle, and what is made of it."""

    says: Callable[[Seen], bytes | None]
    told: str
    stage: str = "download"


def always(answer: bytes | None) -> Callable[[Seen], bytes | None]:
    return lambda _seen: answer


BAD_WEB = {
    "500": Bad(always(reply("500 Oops")), "answered 500"),
    "404": Bad(always(reply("404 Not Found", b"x" * 9000)), "answered 404"),
    "redirect": Bad(always(reply("302 Found", Location="http://127.0.0.1:1/")), "not followed"),
    "cut-off": Bad(always(CUT), "cut off"),
    "reset-at-once": Bad(always(b""), "could not be reached"),
    "never": Bad(always(None), "no answer within 0.3 s"),
    "too-large": Bad(always(reply("200 OK", b"x" * 70_000)), "larger than 65536 bytes"),
    "compressed": Bad(always(reply("200 OK", NEXT, Content_Encoding="br")), "compressed"),
    "html": Bad(always(reply("200 OK", b"<html>")), "not a readable", "activate"),
    "bomb": Bad(
        always(reply("200 OK", gzip.compress(b"\0" * (33 << 20)))), "unpacks to more", "activate"
    ),
    "unsigned-by-us": Bad(
        always(reply("200 OK", a_bundle(sequence=2, key=a_signing_key(id="x")))), "'x'", "verify"
    ),
    "tampered": Bad(always(reply("200 OK", TAMPERED)), "readable", "activate"),
}


async def refused(world: World, bad: Bad, name: str) -> None:
    """One look at a source that misbehaves; the world is as before, and a look anew may follow."""
    delivery = world.sidecar.delivery
    assert delivery is not None
    delivery._pace = Pace(timeout_s=0.3 if "no answer" in bad.told else 20)
    before = world.metric("policy_bundle_failures_total", stage=bad.stage)
    confirmed = world.sidecar.keeper.status().confirmed_unix_s
    with pytest.raises(ConfigError) as fault:
        await delivery.look(anew=True)
    assert bad.told in str(fault.value), name
    assert world.metric("policy_bundle_failures_total", stage=bad.stage) == before + 1, name
    status = world.sidecar.keeper.status()
    assert (status.sequence, status.confirmed_unix_s) == (1, confirmed), name
    assert (await world.get("/desk/tickets")).status == 200, name


async def test_a_web_server(tmp_path: Path) -> None:
    async with (
        FakeWeb(content=await packed(tmp_path, sequence=1)) as web,
        a_world(settings=fetched(web.url, tmp_path, bundle={"size_bytes": 65_536})) as world,
    ):
        for name, bad in BAD_WEB.items():
            web.says = bad.says
            await refused(world, bad, name)


def blob_of(content: bytes) -> Callable[[Seen], bytes | None]:
    """A registry that names the next bundle and gives `content` for it."""

    def say(seen: Seen) -> bytes | None:
        if "/manifests/" in seen.line:
            return reply("200 OK", a_manifest(NEXT))
        return reply("200 OK", content)

    return say


def manifest_of(manifest: bytes, **fields: str) -> Callable[[Seen], bytes | None]:
    return always(reply("200 OK", manifest, **fields))


def moved(seen: Seen) -> bytes:
    if "/manifests/" in seen.line:
        return reply("200 OK", a_manifest(NEXT))
    return reply("307 Temporary Redirect", Location="https://store.test/x")


BAD_REGISTRY = {
    "500": Bad(always(reply("500 Oops")), "answered 500"),
    "another-blob": Bad(blob_of(NEXT[:-1] + b"x"), "not the one its digest names"),
    "a-shorter-blob": Bad(blob_of(NEXT[:-1]), "not the one its digest names"),
    "a-longer-blob": Bad(blob_of(NEXT + b"x"), "larger than"),
    "a-blob-elsewhere": Bad(moved, "redirect_hosts"),
    "another-manifest": Bad(
        manifest_of(a_manifest(NEXT), Docker_Content_Digest=digest_of(b"x")), "not the one"
    ),
    "an-index": Bad(manifest_of(orjson.dumps({"schemaVersion": 2, "manifests": []})), "one bundle"),
    "too-large": Bad(
        manifest_of(
            a_manifest(
                NEXT, layers=[{"mediaType": LAYER, "digest": digest_of(NEXT), "size": 1 << 20}]
            )
        ),
        "larger than 65536 bytes",
    ),
    "an-unknown-challenge": Bad(
        always(reply("401 Unauthorized", WWW_Authenticate="Negotiate")), "unknown kind"
    ),
    "a-token-elsewhere": Bad(
        always(reply("401 No", WWW_Authenticate='Bearer realm="http://127.0.0.2:1/"')), "no usable"
    ),
    "never": Bad(always(None), "no answer within 0.3 s"),
}


async def test_a_registry(tmp_path: Path) -> None:
    first: bytes = await packed(tmp_path, sequence=1)
    async with (
        FakeRegistry(content=first) as registry,
        a_world(settings=fetched(registry.url(), tmp_path, bundle={"size_bytes": 65_536})) as world,
    ):
        for name, bad in BAD_REGISTRY.items():
            registry.says = bad.says
            await refused(world, bad, name)


async def test_by_digest_a_registry_has_no_choice(tmp_path: Path) -> None:
    first: bytes = await packed(tmp_path, sequence=1)
    async with FakeRegistry(content=first) as registry:
        url = registry.url(f"@{digest_of(a_manifest(first))}")
        async with a_world(settings=fetched(url, tmp_path)) as world:
            assert (await world.get("/desk/tickets")).status == 200
            registry.says = manifest_of(a_manifest(NEXT))
            await refused(world, Bad(always(None), "not the one its digest names"), "tag")


async def test_a_slow_source_takes_nobodys_time(tmp_path: Path) -> None:
    async with (
        FakeWeb(content=await packed(tmp_path, sequence=1)) as web,
        a_world(settings=fetched(web.url, tmp_path)) as world,
    ):
        web.says = always(None)
        assert world.sidecar.delivery is not None
        async with asyncio.TaskGroup() as group:
            look = group.create_task(world.sidecar.delivery.look())
            await world.until(lambda: len(web.seen) == 2)
            for _ in range(20):
                assert (await world.get("/desk/tickets")).status == 200
            look.cancel()


async def test_readiness_is_degraded_then_gone(tmp_path: Path) -> None:
    async with (
        FakeWeb(content=await packed(tmp_path, sequence=1)) as web,
        a_world(settings=fetched(web.url, tmp_path, max_staleness_s=60)) as world,
    ):
        keeper = world.sidecar.keeper
        keeper._confirmed_s -= 31
        ready = await world.telemetry("/readyz")
        assert ready.status == 200
        assert (
            b"policy: degraded: the policy was confirmed 31 s ago and counts for 60 s" in ready.body
        )
        keeper._confirmed_s -= 30
        ready = await world.telemetry("/readyz")
        assert ready.status == 503
        assert b"policy: the policy has gone unconfirmed for too long" in ready.body
        async with world.refuses("policy_stale"):
            await world.get("/desk/tickets")
        assert world.sidecar.delivery is not None
        await world.sidecar.delivery.look()
        assert (await world.get("/desk/tickets")).status == 200
