"""Callers named by an OIDC issuer, from its documents over TLS to the chain."""

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from outrider.core.jsonvalue import JsonObject
from tests.support.jwt import SigningKey, a_key
from tests.support.oidc import AUDIENCE, FakeIssuer, a_pod_token, an_access_token
from tests.support.sidecar import World, a_world
from tests.support.sidecar_ingress import PLANNER, a_called_sidecar
from tests.support.sidecar_mcp import reason_of
from tests.support.sidecar_policy import a_policy, an_agent
from tests.support.spiffe_ca import Svid
from tests.support.tls import an_authority

ALICE = "oidc:alice@corp"
POD = "oidc:system:serviceaccount:support:triage@cluster"
KEY = a_key("ES256", "one")
CA = an_authority()


@asynccontextmanager
async def _issuer(*keys: SigningKey) -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer(tls=CA.issue("127.0.0.1").server()) as issuer:
        issuer.serve(*keys)
        yield issuer


def _settings(tmp_path: Path, issuer: FakeIssuer, **more: Any) -> JsonObject:
    (tmp_path / "ca.pem").write_bytes(CA.pem)
    known = {"issuer": issuer.url, "audience": AUDIENCE, "ca_file": str(tmp_path / "ca.pem")}
    other = {**known, "issuer": f"{issuer.url}/cluster", "jwks_url": f"{issuer.url}/keys"}
    return {
        "identity": {
            "attested_local": False,
            "audience": "us",
            "oidc": {"corp": {**known, **more}, "cluster": {**other, "token": "kubernetes"}},
        },
        "listeners": {"egress": {"bearer": True}},
    }


def _token(world: World, issuer: FakeIssuer, key: SigningKey = KEY, **changes: Any) -> str:
    now = int(world.sidecar.clock.unix_s())
    times = {"iat": now, "exp": now + 300, "nbf": now}
    make = a_pod_token if changes.pop("pod", False) else an_access_token
    return make(key, **{"iss": issuer.url} | times | changes)


def _thumbprint(svid: Svid) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(svid.der).digest()).rstrip(b"=").decode()


AGENTS = {ALICE: an_agent(), POD: an_agent(), PLANNER: an_agent()}


async def test_an_access_token_and_a_pods_token_name_who_calls(tmp_path: Path) -> None:
    async with (
        _issuer(KEY) as issuer,
        a_world(a_policy(agents=AGENTS), settings=_settings(tmp_path, issuer)) as world,
    ):
        for token in (
            _token(world, issuer),
            _token(world, issuer, pod=True, iss=f"{issuer.url}/cluster"),
        ):
            field = f"Proxy-Authorization: Bearer {token}"
            assert (await world.get("/desk/tickets", field)).status == 200
        await world.quiet()
        who = [record["subject"] for record in world.records("decision")]
        assert [(one["id"], one["credential"]) for one in who] == [(ALICE, "oidc"), (POD, "oidc")]
        assert who[1]["instance"] == "pod:7f3c2a10-aaaa-4bbb-8ccc-1234567890ab"
        assert all(seen.field("proxy-authorization") is None for seen in world.desk.seen)
        assert world.metric("identity_tokens_total", kind="oidc", result="ok") == 2
        paths = sorted({seen.line.split(" ")[1] for seen in issuer.seen})
        assert paths == ["/.well-known/openid-configuration", "/keys"]


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        pytest.param({"exp": 1_700_000_000}, "expired", id="expired"),
        pytest.param({"aud": "else"}, "wrong_audience", id="audience"),
        pytest.param({"key": a_key("ES256", "one")}, "bad_signature", id="another-key"),
        pytest.param({"key": a_key("ES256", "two")}, "unknown_key", id="unknown-key"),
        pytest.param({"cnf": {"jkt": "x"}}, "confirmation", id="dpop"),
        pytest.param({"client_id": "else"}, "client", id="client"),
    ],
)
async def test_a_token_that_is_not_taken_is_refused_recorded_and_counted_once(
    tmp_path: Path, changes: dict[str, Any], cause: str
) -> None:
    async with (
        _issuer(KEY) as issuer,
        a_world(
            a_policy(agents=AGENTS), settings=_settings(tmp_path, issuer, clients=["desk"])
        ) as world,
    ):
        token = _token(world, issuer, **changes)
        async with world.refuses("unauthenticated") as records:
            answer = await world.get("/desk/tickets", f"Proxy-Authorization: Bearer {token}")
            assert (answer.status, reason_of(answer)) == (401, "unauthenticated")
        assert records[0]["decision"]["cause"] == cause
        assert world.metric("identity_tokens_total", kind="oidc", result=cause) == 1
        assert token.encode() not in answer.body


async def test_without_its_issuer_no_token_is_taken(tmp_path: Path) -> None:
    async with _issuer(KEY) as issuer:
        settings = _settings(tmp_path, issuer)
    async with a_world(a_policy(agents=AGENTS), settings=settings) as world:
        field = f"Proxy-Authorization: Bearer {_token(world, issuer)}"
        async with world.refuses("unauthenticated") as records:
            assert (await world.get("/desk/tickets", field)).status == 401
        assert records[0]["decision"]["cause"] == "issuer_unavailable"


async def test_over_mutual_tls_a_token_counts_for_the_certificate_it_is_bound_to(
    tmp_path: Path,
) -> None:
    async with _issuer(KEY) as issuer:
        settings = _settings(tmp_path, issuer)
        settings["listeners"] = {}
        async with a_called_sidecar(tmp_path / "svid", a_policy(agents=AGENTS), settings) as called:
            world, svid, other = called.world, called.planner(), called.planner()
            bound = _token(world, issuer, cnf={"x5t#S256": _thumbprint(svid)})
            field = f"Authorization: Bearer {bound}"
            assert (await called.ask(svid, "/tickets", field)).status == 200
            for holder, token in ((other, bound), (svid, _token(world, issuer))):
                async with world.refuses("unauthenticated") as records:
                    stolen = f"Authorization: Bearer {token}"
                    assert (await called.ask(holder, "/tickets", stolen)).status == 401
                assert records[0]["decision"]["cause"] == "disagreeing"
            assert world.records("decision")[0]["subject"]["id"] == ALICE
