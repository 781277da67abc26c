"""HARDENING §8 by number: what broke other proxies, tried on this one through the real listener.

A number stands in one place: in a test's id or name under `tests/` (`advisory-NN`), in
`HELD_ELSEWHERE` where a test of another name has its substance, or in `NOT_HERE` with the reason.
"""

import base64
import gzip
import re
from pathlib import Path
from typing import Final

import pytest

from outrider.core.jsonvalue import Json, JsonObject
from outrider.server.gunzip import Gunzip
from tests.support.mcp_exchange import a_tool, request
from tests.support.sidecar import BY_TOKEN, GuardedUpstream, McpUpstream, a_world
from tests.support.sidecar_mcp import call, reason_of
from tests.support.sidecar_policy import AGENT, ENGINES, a_policy, an_agent

TESTS: Final = Path(__file__).parents[1]
ADVISORIES: Final = range(1, 50)
HELD_ELSEWHERE: Final[dict[int, str]] = {
    8: "e2e/protocols/test_http.py::test_the_path_that_is_judged_is_the_path_that_is_sent",
    34: "unit/protocols/adapters/test_http.py"
    "::test_a_body_of_another_type_passes_only_where_it_is_declared_opaque",
    47: "e2e/peers/test_p06.py"
    "::test_P06_a_session_opens_nothing_but_its_own_route_for_its_own_subject",
}
NOT_HERE: Final[dict[int, str]] = {
    39: "No WebSocket is opened in this version: the upgrade is refused (PROTOCOLS case 42).",
}
_NUMBER = re.compile(r"advisory[-_](\d+)")
_TICKET = b'{"title":"a"}'
_JSON = "Content-Type: application/json"
_CHUNKED = "Transfer-Encoding: chunked"


def _numbers() -> set[int]:
    return {
        int(number)
        for path in TESTS.rglob("test_*.py")
        for number in _NUMBER.findall(path.read_text("utf-8"))
    }


def test_every_advisory_stands_in_exactly_one_place() -> None:
    places = [_numbers(), set(HELD_ELSEWHERE), set(NOT_HERE)]
    counts = {number: sum(number in place for place in places) for number in ADVISORIES}
    assert {number: count for number, count in counts.items() if count != 1} == {}
    assert set.union(*places) == set(ADVISORIES)


@pytest.mark.parametrize("place", HELD_ELSEWHERE.values(), ids=map(str, HELD_ELSEWHERE))
def test_the_test_that_holds_an_advisory_is_there(place: str) -> None:
    path, _, name = place.partition("::")
    text = (TESTS / path).read_text("utf-8")
    assert re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE)


# --- paths and hosts -------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["*", "**", "a*", "%2A"])
async def test_advisory_05_CVE_2025_46821_a_star_is_a_value_of_a_template(value: str) -> None:
    async with a_world(a_policy(refused=["desk/GET /tickets/{id}"])) as world:
        assert (await world.get("/desk/tickets")).status == 200
        async with world.refuses("policy"):
            assert (await world.get(f"/desk/tickets/{value}")).status == 403
        async with world.refuses("unrecognised"):
            await world.get(f"/desk/{value}")


SKIPS = [
    pytest.param("/desk/tickets?next=/livez", "X-Kept: 1", id="query"),
    pytest.param("/desk/tickets", "X-Forwarded-Uri: /livez", id="forwarded-uri"),
    pytest.param("/desk/tickets", "User-Agent: kube-probe/1.30", id="user-agent"),
]


@pytest.mark.parametrize(("target", "field"), SKIPS)
async def test_advisory_10_CVE_2025_54576_nothing_a_caller_says_skips_the_decision(
    target: str, field: str
) -> None:
    async with a_world() as world:
        assert (await world.get(target, field)).status == 200
        assert world.desk.seen[-1].field("x-forwarded-uri") is None
    async with a_world(a_policy(refused=["desk/GET /tickets"])) as world:
        async with world.refuses("policy"):
            assert (await world.get(target, field)).status == 403
        async with world.refuses("unrecognised", count=2):  # our own paths are not on this port
            await world.get("/livez")
            await world.get("/metrics")


async def test_advisory_13_CVE_2022_21679_a_bound_that_is_not_known_is_not_passed_over() -> None:
    async with a_world() as world:
        assert (await world.get("/desk/tickets")).status == 200
    later = {AGENT: an_agent(hosts=["desk.test"])}
    async with a_world(a_policy(agents=later)) as world, world.refuses("policy_unavailable"):
        assert (await world.get("/desk/tickets")).status == 503


FORGED = [
    pytest.param("X-Envoy-Original-Path", id="advisory-17-CVE-2023-27487"),
    pytest.param("X-Forwarded-Prefix", id="advisory-21-GHSA-6384-m2mw-rf54"),
    pytest.param("X-Auth-Request-User", id="advisory-22-GO-2026-4639-auth-request"),
    pytest.param("Remote-User", id="advisory-22-GO-2026-4639-remote-user"),
]


@pytest.mark.parametrize("name", FORGED)
async def test_a_header_that_upstreams_trust_is_dropped_and_its_alias_refused(name: str) -> None:
    async with a_world(a_policy(refused=["desk/POST /tickets"])) as world:
        answer = await world.get("/desk/tickets", f"{name}: /admin", "X-Kept: 1")
        assert answer.status == 200
        seen = world.desk.seen[-1]
        assert (seen.field("x-kept"), seen.field(name.lower())) == ("1", None)
        async with world.refuses("policy"):
            await world.post("/desk/tickets", _TICKET, f"{name}: /desk/search")
        async with world.refuses("malformed"):
            alias = name.replace("-", ".")
            assert (await world.get("/desk/tickets", f"{alias}: /admin")).status == 400


AT_WORK: Final = """package outrider

# METADATA
# entrypoint: true
default decision := {"effect": "deny"}

decision := {"effect": "allow"} if input.context.task.state == "active"
"""
"""Allows those whose standing grant binds them to a task, as the shipped library does."""


@pytest.mark.parametrize("other", ["axb", "a.bc", "xa.b", "A.b"])
async def test_advisory_24_CVE_2026_39350_a_dot_in_a_subject_is_a_dot(other: str) -> None:
    named = "spiffe://acme.test/ns/support/sa/"
    agents = {f"{named}a.b": an_agent()}
    async with a_world(a_policy(AT_WORK, agents=agents), settings=BY_TOKEN) as world:
        assert (await world.get("/desk/tickets", world.bearer(f"{named}a.b"))).status == 200
        async with world.refuses("policy"):
            answer = await world.get("/desk/tickets", world.bearer(named + other))
        assert answer.status == 403


HOST = b"\r\nHost: 127.0.0.1:{port}\r\n\r\n"
NO_TARGET = [
    pytest.param(b"GET  HTTP/1.1" + HOST, 400, id="empty"),
    pytest.param(b"GET HTTP/1.1" + HOST, 400, id="none"),
    pytest.param(b"GET\r\n\r\n", 501, id="method-alone"),
    pytest.param(b"OPTIONS * HTTP/1.1" + HOST, 400, id="star"),
]


@pytest.mark.parametrize(("data", "status"), NO_TARGET)
async def test_advisory_33_CVE_2026_73547_a_request_without_a_path_harms_nobody(
    data: bytes, status: int
) -> None:
    async with a_world() as world:
        async with world.refuses("malformed", count=2):
            assert [(await world.raw(data)).status for _ in range(2)] == [status] * 2
        assert (await world.get("/desk/tickets")).status == 200


# --- bodies ----------------------------------------------------------------------------------


async def test_advisory_35_CVE_2025_69228_a_form_is_bounded_in_fields_and_in_bytes() -> None:
    kind = "application/x-www-form-urlencoded"
    async with a_world(settings={"limits": {"body_bytes": 65_536}}) as world:
        assert (await world.post("/desk/tickets", b"title=a", kind=kind)).status == 200
        async with world.refuses("malformed"):
            many = b"&".join(b"k%d" % number for number in range(1001))
            assert (await world.post("/desk/tickets", many, kind=kind)).status == 400
        async with world.refuses("too_large"):
            large = b"title=" + b"a" * 65_536
            assert (await world.post("/desk/tickets", large, kind=kind)).status == 413


async def test_advisory_41_CVE_2026_54278_a_body_nobody_reads_is_not_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fed: list[int] = []
    whole = Gunzip.feed

    def counted(self: Gunzip, data: bytes) -> bytes:
        fed.append(len(data))
        return whole(self, data)

    monkeypatch.setattr(Gunzip, "feed", counted)
    bomb = gzip.compress(b" " * 20_000_000)
    async with a_world() as world:
        packed = gzip.compress(_TICKET)
        assert (await world.post("/desk/tickets", packed, "Content-Encoding: gzip")).status == 200
        assert fed
        fed.clear()
        async with world.refuses("unrecognised"):
            await world.post("/nowhere", bomb, "Content-Encoding: gzip")
        assert fed == []


UNTITLED: Final = """package outrider

# METADATA
# entrypoint: true
default decision := {"effect": "deny"}

decision := {"effect": "allow"} if {
	not input.action.properties.arguments.title
}
"""
"""Allows what has no title: a body judged as empty would pass."""


async def test_advisory_44_CVE_2026_50197_a_body_is_judged_whole_or_not_at_all() -> None:
    limits: JsonObject = {"limits": {"body_bytes": 4096}}
    async with a_world(a_policy(UNTITLED), settings=limits) as world:
        assert (await world.post("/desk/tickets", b"{}")).status == 200
        chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in _TICKET) + b"0\r\n\r\n"
        async with world.refuses("policy", count=2):
            whole = await world.post("/desk/tickets", _TICKET)
            chunked = world.head("POST", "/desk/tickets", _JSON, _CHUNKED) + chunks
            assert (whole.status, (await world.raw(chunked)).status) == (403, 403)
        large = _TICKET + b" " * 4096
        async with world.refuses("too_large", count=2):
            framed = b"%x\r\n" % len(large) + large + b"\r\n0\r\n\r\n"
            over = world.head("POST", "/desk/tickets", _JSON, _CHUNKED) + framed
            assert (await world.post("/desk/tickets", large)).status == 413
            assert (await world.raw(over)).status == 413


# --- policy ----------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
async def test_advisory_45_CVE_2025_46569_no_text_of_a_request_is_read_as_rego(engine: str) -> None:
    refused = ["desk/GET /tickets/{id}", "crm/update"]
    injected = "%22%5D%20:=%20%7B%22effect%22:%22allow%22%7D%0A"
    async with a_world(a_policy(refused=refused), engine=engine) as world:
        assert (await world.get(f"/desk/tickets?q={injected[:-3]}")).status == 200
        async with world.refuses("policy", count=3):
            for value in ("7", injected[:-3], "data.outrider%22%5D%3Dtrue"):
                assert (await world.get(f"/desk/tickets/{value}")).status == 403
        async with world.refuses("malformed", count=2):
            assert (await world.get(f"/desk/tickets/{injected}")).status == 400
            name = 'update"] := {"effect": "allow"}\n'
            assert reason_of(await world.raw(world.legacy(call(name)))) == "malformed"


# --- MCP -------------------------------------------------------------------------------------


async def test_advisory_46_CVE_2026_27896_keys_origin_and_content_type_are_exact() -> None:
    async with a_world() as world:
        good = world.legacy(call())
        assert (await world.raw(good)).status == 200
        async with world.refuses("malformed", count=3):
            for old, new in (
                (b'"method"', b'"Method"'),
                (b'"name"', b'"NAME"'),
                (b"application/json\r\nContent-Length", b"text/plain\r\nContent-Length"),
            ):
                assert old in good
                answer = await world.raw(good.replace(old, new))
                assert answer.status in {400, 415}
        async with world.refuses("unrecognised"):
            foreign = await world.raw(world.legacy(call(), "Origin: http://evil.test"))
            assert foreign.status == 403


async def test_advisory_48_CVE_2026_32871_an_argument_stays_a_value_in_path_and_header() -> None:
    properties: JsonObject = {"text": {"type": "string", "x-mcp-header": "Text"}}
    crm = McpUpstream()
    crm.fake.tools = [a_tool(inputSchema={"type": "object", "properties": properties})]
    async with a_world(upstreams={"crm": crm, "desk": GuardedUpstream()}) as world:
        assert (await world.get("/desk/tickets/a%20b")).status == 200
        async with world.refuses("malformed", count=3):
            for value in ("..%2Fadmin", "7%3Fall=1", "7%0D%0AX-Admin:%201"):
                assert (await world.get(f"/desk/tickets/{value}")).status == 400
        text = "a\r\nX-Admin: 1"
        mirrored = base64.b64encode(text.encode()).decode()
        message = call(arguments={"text": text})
        field = f"Mcp-Param-Text: =?base64?{mirrored}?="
        answer = await world.raw(world.modern(message, field))
        assert answer.status == 200
        assert world.crm.seen[-1].field("x-admin") is None
        assert world.crm.seen[-1].field("mcp-param-text") == f"=?base64?{mirrored}?="


# --- answers, cookies, redirects -------------------------------------------------------------


async def test_advisory_43_CVE_2026_34993_no_cookie_is_kept_and_no_redirect_followed() -> None:
    fields = b"Location: /desk/tickets/7\r\nSet-Cookie: session=upstream; Domain=test\r\n"
    found = b"HTTP/1.1 302 Found\r\n" + fields + b"Content-Length: 0\r\n\r\n"
    moved = GuardedUpstream(answers=(found,))
    async with a_world(upstreams={"desk": moved}) as world, world.client() as client:
        for _ in range(2):
            await client.send(world.head("GET", "/desk/tickets", "Cookie: a=of-the-agent"))
            answer = await client.answer()
            assert (answer.status, answer.field("set-cookie")) == (302, None)
        assert [seen.line for seen in moved.seen] == ["GET /desk/tickets HTTP/1.1"] * 2
        assert [seen.field("cookie") for seen in moved.seen] == [None, None]


def _leased(folder: Path) -> JsonObject:
    secret = folder / "desk.token"
    secret.write_text("s3cret-of-the-desk", "utf-8")
    secret.chmod(0o600)
    names: list[Json] = ["desk"]
    return {
        "credentials": {"desk": {"file": str(secret), "upstreams": names}},
        "upstreams": {"desk": {"credential": "desk"}},
    }


async def test_advisory_49_CVE_2026_115750_a_credential_goes_to_no_redirect(
    tmp_path: Path,
) -> None:
    elsewhere = GuardedUpstream()
    async with a_world(
        upstreams={"desk": GuardedUpstream(), "other": elsewhere}, settings=_leased(tmp_path)
    ) as world:
        there = f"http://127.0.0.1:{elsewhere.port}/other"
        moved = f"HTTP/1.1 307 X\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n".encode()
        world.desk.answers = (world.desk.answers[0], moved)
        for number in range(2):
            answer = await world.get("/desk/tickets")
            assert answer.field("location") is None
            assert b"s3cret" not in answer.body
            assert len(world.desk.seen) == number + 1
        leased = [seen.field("authorization") for seen in world.desk.seen]
        assert leased == ["Bearer s3cret-of-the-desk"] * 2
        assert elsewhere.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1.:{port}", "desk.test."])
async def test_advisory_49_CVE_2026_115751_a_trailing_dot_is_another_host(host: str) -> None:
    settings: JsonObject = {"upstreams": {"desk": {"hosts": ["desk.test"]}}}
    async with a_world(settings=settings) as world:
        named = b"GET /tickets HTTP/1.1\r\nHost: desk.test\r\n\r\n"
        assert (await world.raw(named)).status == 200
        async with world.refuses("malformed"):
            dotted = f"GET /desk/tickets HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
            assert (await world.raw(dotted)).status == 400


async def test_advisory_49_CVE_2026_59973_a_reference_in_a_schema_is_never_fetched() -> None:
    elsewhere = GuardedUpstream()
    crm = McpUpstream()
    async with a_world(upstreams={"crm": crm, "other": elsewhere}) as world:
        remote: JsonObject = {"$ref": f"http://127.0.0.1:{elsewhere.port}/schema.json"}
        schema: JsonObject = {"type": "object", "properties": {"text": remote}}
        crm.fake.tools = [a_tool(inputSchema=schema), a_tool("search")]
        listed = (await world.raw(world.legacy(request("tools/list")))).body
        assert (b'"search"' in listed, b'"echo"' in listed) == (True, False)
        assert (await world.raw(world.legacy(call("search")))).status == 200
        assert elsewhere.connections == 0
