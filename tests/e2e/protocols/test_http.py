"""PROTOCOLS §12, 31 to 42: what HTTP itself can be bent to, through the real listener."""

import asyncio
import gzip
import zlib

import pytest

from outrider.core.jsonvalue import JsonObject
from tests.support.sidecar import GuardedUpstream, World, a_world
from tests.support.sidecar_mcp import call

TICKET = b'{"title":"a"}'
JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"


def _post(world: World, body: bytes, *fields: str, target: str = "/desk/tickets") -> bytes:
    return world.head("POST", target, JSON, *fields) + body


async def _accepted(world: World) -> None:
    assert (await world.post("/desk/tickets", TICKET)).status == 200
    assert world.desk.seen[-1].body == TICKET


async def test_case_31_gzip_within_the_limit_leaves_as_identity_with_its_new_length() -> None:
    async with a_world() as world:
        packed = gzip.compress(TICKET)
        answer = await world.post("/desk/tickets", packed, "Content-Encoding: gzip")
        assert answer.status == 200
        seen = world.desk.seen[-1]
        assert (seen.body, seen.field("content-encoding")) == (TICKET, None)
        assert seen.field("content-length") == str(len(TICKET))


ENCODED = [
    pytest.param("br", b"\x0b\x02\x80{}\x03", 415, id="case-31-br"),
    pytest.param("zstd", b"(\xb5/\xfd", 415, id="case-31-zstd"),
    pytest.param("gzip, gzip", gzip.compress(gzip.compress(TICKET)), 415, id="case-31-double"),
    pytest.param("deflate", zlib.compress(TICKET), 415, id="case-31-deflate"),
]


@pytest.mark.parametrize(("encoding", "body", "status"), ENCODED)
async def test_other_encodings_are_refused(encoding: str, body: bytes, status: int) -> None:
    async with a_world() as world:
        await _accepted(world)
        async with world.refuses("malformed"):
            answer = await world.post("/desk/tickets", body, f"Content-Encoding: {encoding}")
        assert answer.status == status


async def test_case_31_a_gzip_bomb_is_too_large() -> None:
    async with a_world() as world:
        await _accepted(world)
        bomb = gzip.compress(b" " * 40_000_000)
        assert len(bomb) < 50_000
        async with world.refuses("too_large"):
            answer = await world.post("/desk/tickets", bomb, "Content-Encoding: gzip")
        assert answer.status == 413


FRAMES = [
    pytest.param(["Content-Length: 5", CHUNKED], b"0\r\n\r\n", id="case-32-length-and-chunked"),
    pytest.param(["Content-Length: 2", "Content-Length: 2"], b"{}", id="case-32-twice"),
    pytest.param(["Content-Length: 2, 2"], b"{}", id="case-32-list"),
    pytest.param([CHUNKED], b"zz\r\n{}\r\n0\r\n\r\n", id="case-32-bad-chunk"),
    pytest.param([CHUNKED], b"2;a\nb\r\n{}\r\n0\r\n\r\n", id="case-32-chunk-extension"),
    pytest.param(["X-A: 1\r\n 2", "Content-Length: 2"], b"{}", id="case-32-obs-fold"),
    pytest.param(["Transfer-Encoding: gzip, chunked"], b"0\r\n\r\n", id="case-32-te-list"),
]


@pytest.mark.parametrize(("fields", "body"), FRAMES)
async def test_a_body_with_two_lengths_or_none_ends_the_connection(
    fields: list[str], body: bytes
) -> None:
    async with a_world() as world:
        near = _post(world, b"2;x=y\r\n{}\r\n0\r\n\r\n", CHUNKED)
        assert (await world.raw(near)).status == 200
        async with world.refuses("malformed"), world.client() as client:
            smuggled = world.head("GET", "/desk/tickets")
            await client.send(_post(world, body, *fields) + smuggled)
            assert (await client.answer()).status == 400
            assert await client.rest() == b""


async def test_case_33_trailers_are_dropped_and_never_merged() -> None:
    async with a_world() as world:
        body = b"2\r\n{}\r\n0\r\nX-Late: 1\r\nAuthorization: Bearer x\r\n\r\n"
        answer = await world.raw(_post(world, body, CHUNKED, "Trailer: X-Late"))
        assert answer.status == 200
        names = {name for name, _ in world.desk.seen[-1].fields}
        assert names.isdisjoint({"x-late", "authorization", "trailer"})


async def test_case_34_a_body_shorter_than_announced_reaches_nobody() -> None:
    async with a_world() as world:
        await _accepted(world)
        seen = len(world.desk.seen)
        async with world.client() as client:
            await client.send(_post(world, b'{"a":', "Content-Length: 50"))
            client.writer.write_eof()
            await client.rest()
        await world.quiet()
        assert len(world.desk.seen) == seen


async def test_case_34_what_stands_behind_a_body_is_a_new_exchange() -> None:
    async with a_world() as world:
        async with world.client() as client:
            await client.send(
                _post(world, b"{}", "Content-Length: 2") + world.head("GET", "/desk/tickets/7")
            )
            assert [(await client.answer()).status for _ in range(2)] == [200, 200]
        lines = [seen.line for seen in world.desk.seen]
        assert lines == ["POST /desk/tickets HTTP/1.1", "GET /desk/tickets/7 HTTP/1.1"]
        await world.quiet()
        assert len(world.decisions("allow")) == 2


async def test_case_35_continue_comes_after_the_checks_and_never_over_the_limit() -> None:
    async with a_world(settings={"limits": {"body_bytes": 4096}}) as world:
        async with world.client() as client:
            await client.send(_post(world, b"", "Content-Length: 2", "Expect: 100-continue"))
            assert (await client.answer(head_only=True)).status == 100
            await client.send(b"{}")
            assert (await client.answer()).status == 200
        async with world.refuses("too_large"):
            large = await world.raw(
                _post(world, b"", "Content-Length: 5000", "Expect: 100-continue")
            )
            assert large.status == 413
        async with world.refuses("malformed"):
            other = await world.raw(_post(world, b"", "Content-Length: 2", "Expect: 200-ok"))
            assert other.status == 417


async def test_case_36_the_refusal_of_a_large_upload_can_be_read() -> None:
    async with a_world(settings={"limits": {"body_bytes": 65_536}}) as world:
        body = TICKET + b" " * (65_536 - len(TICKET))
        assert (await world.post("/desk/tickets", body)).status == 200
        large = b'{"title":"' + b"x" * 200_000 + b'"}'
        async with world.refuses("too_large", count=2):
            announced = await world.post("/desk/tickets", large)
            chunks = b"%x\r\n" % len(large) + large + b"\r\n0\r\n\r\n"
            chunked = await world.raw(_post(world, chunks, CHUNKED))
        assert (announced.status, chunked.status) == (413, 413)
        assert announced.field("connection") == "close"


async def test_case_37_a_head_or_body_that_never_ends_is_ended() -> None:
    slow: JsonObject = {"head_s": 0.2, "body_idle_s": 0.2, "body_total_s": 5.0}
    async with a_world(settings={"limits": slow}) as world:
        await _accepted(world)
        async with world.refuses("slow_client", count=2):
            async with world.client() as client:
                await client.send(b"GET /desk/ti")
                assert (await client.answer()).status == 408
            async with world.client() as client:
                await client.send(_post(world, b'{"a"', "Content-Length: 20"))
                assert (await client.answer()).status == 408
        await _accepted(world)


async def test_case_37_one_subject_cannot_take_every_place() -> None:
    limits: JsonObject = {"agent_in_flight": 1, "wait_queue": 0}
    async with a_world(settings={"limits": limits}) as world:
        await _accepted(world)
        async with world.client() as holder:
            await holder.send(_post(world, b'{"a"', "Content-Length: 20"))
            async with asyncio.timeout(10):
                while not world.metric("exchanges_in_flight"):  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            assert (await world.get("/desk/tickets")).status == 503
        await world.quiet()
        assert "overload" in [r["decision"]["reason"] for r in world.decisions()]
        await _accepted(world)


HOSTILE_FIELDS = [
    pytest.param("Connection: mcp-name", id="case-38-nominated"),
    pytest.param("Connection: close, x-forwarded-for", id="case-38-forwarded"),
    pytest.param("Connection: authorization", id="case-38-authorization"),
]


@pytest.mark.parametrize("field", HOSTILE_FIELDS)
async def test_no_field_can_be_stripped_by_nominating_it(field: str) -> None:
    async with a_world() as world:
        near = await world.get("/desk/tickets", "Connection: keep-alive", "X-Kept: 1")
        assert near.status == 200
        assert world.desk.seen[-1].field("x-kept") == "1"
        async with world.refuses("malformed"):
            assert (await world.get("/desk/tickets", field)).status == 400


async def test_case_39_identity_and_decision_headers_sent_in_do_not_go_on() -> None:
    async with a_world() as world:
        answer = await world.get(
            "/desk/tickets",
            "Authorization: Bearer of-the-agent",
            "Cookie: a=b",
            "X-Api-Key: k",
            "X-Forwarded-For: 10.0.0.1",
            "X-Forwarded-Client-Cert: By=spiffe://acme.test/boss",
            "Forwarded: for=10.0.0.1",
            "X-Envoy-Original-Path: /admin",
            "X-Original-URL: /admin",
            "X-Kept: 1",
        )
        assert answer.status == 200
        names = {name for name, _ in world.desk.seen[-1].fields}
        assert "x-kept" in names
        assert names.isdisjoint(
            {
                "authorization",
                "cookie",
                "x-api-key",
                "x-forwarded-for",
                "x-forwarded-client-cert",
                "forwarded",
                "x-envoy-original-path",
                "x-original-url",
            }
        )
        subjects = {r["subject"]["id"] for r in world.records("decision")}
        assert subjects == {"spiffe://acme.test/ns/support/sa/triage"}


async def test_case_39_configured_names_of_credentials_are_removed_and_counted() -> None:
    settings: JsonObject = {
        "agent_credentials": ["x-vault-token"],
        "credentials": {"unused": {"file": "key", "header": "X-Goog-Api-Key"}},
    }
    async with a_world(settings=settings) as world:
        brought = ("X-Vault-Token: s.1", "X-Goog-Api-Key: k", "X-Vault-Token-Hint: no")
        assert (await world.get("/desk/tickets", *brought)).status == 200
        names = {name for name, _ in world.desk.seen[-1].fields}
        assert "x-vault-token-hint" in names
        assert names.isdisjoint({"x-vault-token", "x-goog-api-key"})
        assert world.metric("agent_credentials_stripped_total") == 2


@pytest.mark.parametrize(
    "field",
    ["Outrider-Subject: spiffe://acme.test/boss", "Outrider-Decision: allow"],
    ids=["case-39-subject", "case-39-decision"],
)
async def test_our_own_headers_are_refused_from_outside(field: str) -> None:
    async with a_world() as world:
        await _accepted(world)
        async with world.refuses("malformed"):
            assert (await world.get("/desk/tickets", field)).status == 400


PATHS = [
    pytest.param("/desk/x/../tickets", id="case-40-dots"),
    pytest.param("/desk/%2e%2e/tickets", id="case-40-encoded-dots"),
    pytest.param("/desk/%2E%2e/tickets", id="case-40-mixed-case-dots"),
    pytest.param("/desk//tickets", id="case-40-double-slash"),
    pytest.param("//desk/tickets", id="case-40-leading-double-slash"),
    pytest.param("/desk/tickets;x", id="case-40-semicolon"),
    pytest.param("/desk/tickets%00", id="case-40-nul"),
    pytest.param("/desk/tickets%2f7", id="case-40-encoded-slash"),
    pytest.param("/desk/tickets%5c7", id="case-40-encoded-backslash"),
    pytest.param("/desk/tickets\\7", id="case-40-backslash"),
    pytest.param("/desk/tickets#x", id="case-40-fragment"),
    pytest.param("/desk/tickets%252f7", id="case-40-twice-encoded"),
    pytest.param("http://evil.test/desk/tickets", id="case-40-absolute-form"),
]


@pytest.mark.parametrize("target", PATHS)
async def test_the_path_that_is_judged_is_the_path_that_is_sent(target: str) -> None:
    async with a_world(settings={"upstreams": {"desk": {"hosts": ["desk.test"]}}}) as world:
        for legal in ("/desk/tickets", "/desk/%74ickets", "/desk/tickets?a=%2F"):
            assert (await world.get(legal)).status == 200, legal
        absolute = b"GET http://desk.test/tickets HTTP/1.1\r\nHost: desk.test\r\n\r\n"
        assert (await world.raw(absolute)).status == 200
        lines = [seen.line.split(" ")[1] for seen in world.desk.seen]
        tickets = "/desk/tickets"
        assert lines == [tickets, tickets, f"{tickets}?a=/", tickets]  # one spelling leaves
        async with world.refuses("malformed"):
            answer = await world.get(target)
        assert answer.status == 400


async def test_a_redirect_to_the_upstream_itself_leads_through_the_sidecar() -> None:
    async with a_world(settings={"upstreams": {"desk": {"hosts": ["desk.test"]}}}) as world:
        own = f"http://127.0.0.1:{world.desk.port}"
        for there in (f"{own}/desk/tickets?a=1", "/desk/tickets?a=1"):
            fields = f"Location: {there}\r\nContent-Location: {there}\r\nContent-Length: 0\r\n\r\n"
            moved = f"HTTP/1.1 307 X\r\n{fields}".encode()
            world.desk.answers = (moved,)
            answer = await world.get("/desk/tickets")
            assert answer.field("location") == "/desk/tickets?a=1"
            assert answer.field("content-location") == "/desk/tickets?a=1"
            for target in ("/tickets", "http://desk.test/tickets"):
                named = f"GET {target} HTTP/1.1\r\nHost: desk.test\r\n\r\n".encode()
                assert (await world.raw(named)).field("location") == "/tickets?a=1"


async def test_case_41_a_redirect_to_another_host_is_not_followed() -> None:
    there = b"Location: http://169.254.169.254/x\r\nContent-Length: 0\r\n\r\n"
    moved = GuardedUpstream(answers=(b"HTTP/1.1 307 X\r\n" + there,))
    async with a_world(upstreams={"desk": moved}) as world:
        answer = await world.post("/desk/tickets", TICKET)
        assert answer.field("location") is None
        assert len(world.desk.seen) == 1
        await world.quiet()
        assert len(world.decisions("allow")) == 1


async def test_case_42_an_h2c_offer_is_stripped_and_a_websocket_refused_on_an_mcp_route() -> None:
    async with a_world() as world:
        offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
        assert (await world.raw(world.legacy(call(), *offer))).status == 200
        names = {name for name, _ in world.crm.seen[-1].fields}
        assert names.isdisjoint({"upgrade", "http2-settings"})
        socket = (
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        )
        async with world.refuses("malformed"):
            assert (await world.raw(world.head("GET", "/crm", *socket))).status == 400
        async with world.refuses("unrecognised"):
            tunnel = b"CONNECT 10.0.0.1:443 HTTP/1.1\r\nHost: 10.0.0.1:443\r\n\r\n"
            assert (await world.raw(tunnel)).status == 405
