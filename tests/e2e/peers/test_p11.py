"""P11: what was validated once and kept never outlives what it was validated by."""

import asyncio
from pathlib import Path

import pytest

from tests.support.jwt import a_bundle
from tests.support.net import RawClient
from tests.support.sidecar import BY_TOKEN, a_world
from tests.support.sidecar_ingress import Called, a_called_sidecar
from tests.support.sidecar_policy import OTHER


async def _status(called: Called, client: RawClient) -> int | None:
    """Of one request on a connection that stands; None where it was ended instead."""
    try:
        await client.send(called.request("/tickets"))
        return (await client.answer()).status
    except (OSError, asyncio.IncompleteReadError):
        return None


@pytest.mark.case("P11")
async def test_P11_a_withdrawn_federation_ends_at_the_next_request_of_a_live_connection(
    tmp_path: Path,
) -> None:
    async with a_called_sidecar(tmp_path) as called:
        keeper = called.world.sidecar.identity.keeper
        stranger, own = called.beta.svid("/partner"), called.planner()
        async with called.connected(stranger) as theirs, called.connected(own) as ours:
            assert await _status(called, theirs) == await _status(called, ours) == 200
            (tmp_path / "federated.beta.test.pem").unlink()
            called.trust()
            await called.world.until(lambda: "beta.test" not in keeper.snapshot().anchors)
            assert await _status(called, theirs) in {401, None}
            assert await _status(called, ours) == 200
        assert await called.served(stranger) is None
        assert len(called.world.desk.seen) == 3


@pytest.mark.case("P11")
async def test_P11_an_expired_svid_ends_at_the_next_request_of_a_live_connection(
    tmp_path: Path,
) -> None:
    async with a_called_sidecar(tmp_path) as called:
        svid = called.planner(seconds=(-60, 2))
        ends = svid.certificate.not_valid_after_utc.timestamp()
        async with called.connected(svid) as client:
            assert await _status(called, client) == 200
            await called.world.until(lambda: called.world.sidecar.clock.unix_s() >= ends)
            assert await _status(called, client) in {401, None}
        assert len(called.world.desk.seen) == 1


@pytest.mark.case("P11")
async def test_P11_a_token_ends_with_the_key_that_verified_it() -> None:
    async with a_world(settings=BY_TOKEN) as world, world.client() as client:
        asks = world.head("GET", "/desk/tickets", world.bearer(OTHER))
        await client.send(asks)
        assert (await client.answer()).status == 200
        (world.room / "bundle.json").write_bytes(a_bundle(spiffe_sequence=2))
        await world.sidecar.identity.refresh()
        async with world.refuses("unauthenticated") as records:
            await client.send(asks)
            assert (await client.answer()).status == 401
        assert records[0]["decision"]["cause"] == "unknown_key"


@pytest.mark.case("P11")
async def test_P11_a_token_ends_with_its_own_life() -> None:
    settings = {**BY_TOKEN, "identity": {**BY_TOKEN["identity"], "jwt_leeway_s": 0}}  # type: ignore[dict-item]
    async with a_world(settings=settings) as world, world.client() as client:
        ends = int(world.sidecar.clock.unix_s()) + 2
        asks = world.head("GET", "/desk/tickets", world.bearer(OTHER, exp=ends))
        await client.send(asks)
        assert (await client.answer()).status == 200
        await world.until(lambda: world.sidecar.clock.unix_s() >= ends)
        async with world.refuses("unauthenticated") as records:
            await client.send(asks)
            assert (await client.answer()).status == 401
        assert records[0]["decision"]["cause"] == "expired"
