"""Who calls in through the ingress listener, from the handshake to the chain (ID-01 to ID-04)."""

from pathlib import Path
from typing import Any

import pytest

from outrider.core.jsonvalue import JsonObject
from tests.support.sidecar_ingress import (
    OWN,
    PARTNER,
    PLANNER,
    a_called_sidecar,
    callers_policy,
)
from tests.support.sidecar_mcp import reason_of
from tests.support.sidecar_policy import an_agent, write_policy

SHIPPED: JsonObject = {"policy": {"path": None, "overlay": ["policy"]}}


def _shipped(**changes: Any) -> dict[str, str | JsonObject]:
    """Data for the shipped rules."""
    files = callers_policy(**changes)
    return {name: text for name, text in files.items() if "agents" in name or "man" in name}


def _callers(world: Any) -> list[tuple[str, str | None, str]]:
    return [
        (record["subject"]["id"], record["subject"]["instance"], record["subject"]["credential"])
        for record in world.records("decision")
        if record["subject"] is not None
    ]


@pytest.mark.control("ID-01")
async def test_a_peer_of_either_domain_is_served_under_its_own_id(tmp_path: Path) -> None:
    async with a_called_sidecar(tmp_path) as called:
        assert await called.served(called.planner()) == 200
        assert await called.served(called.beta.svid("/partner")) == 200
        await called.world.quiet()
        assert _callers(called.world) == [
            (PLANNER, None, "x509-svid"),
            (PARTNER, None, "x509-svid"),
        ]


@pytest.mark.control("ID-01")
async def test_no_certificate_an_expired_one_or_anothers_never_reaches_the_agent(
    tmp_path: Path,
) -> None:
    async with a_called_sidecar(tmp_path) as called:
        gamma = called.acme.below()  # signed by acme's root, for its near miss below
        forged = called.beta.svid(uris=(PLANNER,))
        for svid in (None, called.planner(seconds=(-120, -60)), forged):
            assert await called.served(svid) is None
        assert await called.served(gamma.svid("/ns/desk/sa/planner")) == 200
        await called.world.quiet()
        assert len(called.world.desk.seen) == 1
        assert called.world.metric("identity_handshakes_total", reason="wrong_authority") == 1
        assert called.world.metric("identity_handshakes_total", reason="no_certificate") == 1
        assert called.world.metric("identity_handshakes_total", reason="expired") == 1


@pytest.mark.control("ID-01")
async def test_no_header_says_who_calls(tmp_path: Path) -> None:
    fields = (
        f"X-Spiffe-Id: {OWN}",
        f"X-Forwarded-Client-Cert: By={OWN};URI={OWN}",
        f"Remote-User: {OWN}",
    )
    async with a_called_sidecar(tmp_path) as called:
        assert (await called.ask(called.planner(), "/tickets", *fields)).status == 200
        assert (
            await called.ask(called.planner(), "/tickets", f"Outrider-Subject: {OWN}")
        ).status == 400
        await called.world.quiet()
        assert {caller for caller, _, _ in _callers(called.world)} == {PLANNER}
        (seen,) = called.world.desk.seen
        assert not {name for name, value in seen.fields if OWN in value}


@pytest.mark.control("ID-01")
async def test_a_token_beside_the_certificate_must_agree_and_never_travels_on(
    tmp_path: Path,
) -> None:
    settings: JsonObject = {"identity": {"trust_bundles": {"acme.test": "bundle.json"}}}
    async with a_called_sidecar(tmp_path, settings=settings) as called:
        world = called.world
        own = world.bearer(PLANNER).removeprefix("Proxy-")
        assert (await called.ask(called.planner(), "/tickets", own)).status == 200
        (seen,) = world.desk.seen
        assert seen.field("authorization") is None
        others = world.bearer(PARTNER).removeprefix("Proxy-")
        async with world.refuses("unauthenticated") as records:
            answer = await called.ask(called.planner(), "/tickets", others)
            assert (answer.status, reason_of(answer)) == (401, "unauthenticated")
        assert records[0]["decision"]["cause"] == "unknown_domain"
        async with world.refuses("unauthenticated") as records:
            mine = world.bearer(OWN).removeprefix("Proxy-")
            assert (await called.ask(called.planner(), "/tickets", mine)).status == 401
        assert records[0]["decision"]["cause"] == "disagreeing"
        assert world.metric("identity_tokens_total", kind="jwt_svid", result="ok") == 1
        assert world.metric("identity_tokens_total", result="disagreeing") == 1
        assert _callers(world)[0] == (PLANNER, None, "jwt-svid")


@pytest.mark.control("ID-02")
async def test_two_instances_of_one_identity_stand_apart_on_the_chain(tmp_path: Path) -> None:
    async with a_called_sidecar(tmp_path) as called:
        for name in ("pod:7f3c-1", "start:aa11"):
            field = f"Outrider-Instance: {name}"
            assert (await called.ask(called.planner(), "/tickets", field)).status == 200
        async with called.world.refuses("unauthenticated") as records:
            bad = "Outrider-Instance: pod:a, pod:b"
            assert (await called.ask(called.planner(), "/tickets", bad)).status == 401
        assert records[0]["decision"]["cause"] == "instance"
        await called.world.quiet()
        assert [who for _, who, _ in _callers(called.world)] == ["pod:7f3c-1", "start:aa11"]
        assert all(seen.field("outrider-instance") is None for seen in called.world.desk.seen)


@pytest.mark.control("ID-02")
async def test_an_identity_of_another_environment_is_denied(tmp_path: Path) -> None:
    agents = {OWN: an_agent(), PLANNER: {**an_agent(), "environment": "test"}, PARTNER: an_agent()}
    async with a_called_sidecar(tmp_path, _shipped(agents=agents), SHIPPED) as called:
        assert await called.served(called.beta.svid("/partner")) == 200
        async with called.world.refuses("policy") as records:
            assert await called.served(called.planner()) == 403
        codes = [one["code"] for one in records[0]["decision"]["reasons"]]
        assert "ID-02" in codes


@pytest.mark.control("ID-03")
async def test_offboarding_in_data_refuses_the_next_call_of_a_live_connection(
    tmp_path: Path,
) -> None:
    async with a_called_sidecar(tmp_path, _shipped(), SHIPPED) as called:
        async with called.connected(called.planner()) as client:
            await client.send(called.request("/tickets"))
            assert (await client.answer()).status == 200
            gone = {**an_agent(), "status": "offboarded"}
            agents = {OWN: an_agent(), PLANNER: gone, PARTNER: an_agent()}
            write_policy(called.world.policy, _shipped(agents=agents))
            await called.world.sidecar.keeper.reload()
            async with called.world.refuses("quarantined") as records:
                await client.send(called.request("/tickets"))
                assert (await client.answer()).status == 403
        assert records[0]["decision"]["cause"] == "status"


@pytest.mark.control("ID-04")
async def test_an_identity_used_by_hand_without_a_task_gets_nothing(tmp_path: Path) -> None:
    """Who holds an SVID but no standing grant, and who names a task that nobody gave."""
    agents = {OWN: an_agent(), PARTNER: an_agent()}
    async with a_called_sidecar(tmp_path, _shipped(agents=agents), SHIPPED) as called:
        async with called.world.refuses("policy"):
            assert await called.served(called.planner()) == 403
        assert called.world.metric("notifications_total") == 1
        async with called.world.refuses("no_task"):
            answer = await called.ask(called.planner(), "/tickets", "Outrider-Task: tsk_mine")
            assert (answer.status, reason_of(answer)) == (403, "no_task")
