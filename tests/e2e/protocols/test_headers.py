"""PROTOCOLS §12, 21 to 30: headers, eras, media types and verbs, through the real listener."""

import orjson
import pytest

from outrider.core.jsonvalue import JsonObject
from tests.support.mcp_exchange import BOTH, LEGACY, MODERN, a_tool, modern, request
from tests.support.net import RawAnswer
from tests.support.sidecar import McpUpstream, World, a_world
from tests.support.sidecar_mcp import INITIALIZE, call, code_of, message_of, open_session
from tests.support.sidecar_policy import a_policy

CALL = call()
MISMATCH = [
    pytest.param({"mcp_name": "other"}, id="case-21-name-differs"),
    pytest.param({"mcp_name": "Echo"}, id="case-21-name-case"),
    pytest.param({"mcp_name": None}, id="case-21-name-missing"),
    pytest.param({"mcp_method": "tools/list"}, id="case-21-method-differs"),
    pytest.param({"mcp_method": None}, id="case-21-method-missing"),
    pytest.param({"mcp_protocol_version": LEGACY}, id="case-21-version-differs"),
    pytest.param({"mcp_protocol_version": None}, id="case-21-version-missing"),
    pytest.param({"mcp_name": "=?base64?ZWNobw=?="}, id="case-23-padding"),
    pytest.param({"mcp_name": "=?base64?ZWNobx==?="}, id="case-23-stray-bits"),
    pytest.param({"mcp_name": "=?BASE64?ZWNobw==?="}, id="case-23-upper-case"),
    pytest.param({"mcp_name": "=?base64?//79?="}, id="case-23-not-utf-8"),
    pytest.param({"mcp_name": "=?base64?ZWNobw=="}, id="case-23-sentinel-looking-literal"),
]


@pytest.mark.parametrize("changes", MISMATCH)
async def test_mirrored_headers_must_equal_the_body(changes: dict[str, str | None]) -> None:
    async with a_world() as world:
        assert (await world.raw(world.modern(CALL))).status == 200
        encoded = await world.raw(world.modern(CALL, mcp_name="=?base64?ZWNobw==?="))
        assert encoded.status == 200
        assert world.crm.seen[-1].field("mcp-name") == "echo"
        async with world.refuses("malformed"):
            answer = await world.raw(world.modern(CALL, **changes))
        assert (answer.status, code_of(answer), message_of(answer)["id"]) == (400, -32020, 1)


TWICE = [
    pytest.param("Mcp-Name: echo", id="case-22-mcp-name"),
    pytest.param("Mcp-Method: tools/call", id="case-22-mcp-method"),
    pytest.param("Mcp-Protocol-Version: 2026-07-28", id="case-22-version"),
    pytest.param("Content-Type: application/json", id="case-22-content-type"),
    pytest.param("Host: 127.0.0.1:{port}", id="case-22-host"),
]


@pytest.mark.parametrize("field", TWICE)
async def test_a_field_that_decides_stands_once(field: str) -> None:
    async with a_world() as world:
        assert (await world.raw(world.modern(CALL, "Accept-Language: en"))).status == 200
        async with world.refuses("malformed"):
            answer = await world.raw(world.modern(CALL, field.format(port=world.port)))
        assert answer.status == 400


@pytest.mark.parametrize(
    "name", ["Mcp-Session-Id", "Authorization"], ids=["case-22-session", "case-22-authorization"]
)
async def test_a_field_that_may_be_absent_stands_at_most_once(name: str) -> None:
    async with a_world() as world:
        assert (await world.raw(world.modern(CALL, f"{name}: Bearer-a"))).status == 200
        async with world.refuses("malformed"):
            answer = await world.raw(world.modern(CALL, f"{name}: Bearer-a", f"{name}: Bearer-a"))
        assert answer.status == 400


def _mirroring() -> McpUpstream:
    upstream = McpUpstream()
    properties: JsonObject = {
        "text": {"type": "string"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
    }
    upstream.fake.tools = [a_tool(inputSchema={"type": "object", "properties": properties})]
    return upstream


PARAMS = [
    pytest.param({"count": 42}, [], id="case-24-missing"),
    pytest.param({"count": 42}, ["Mcp-Param-Count: 43"], id="case-24-differs"),
    pytest.param({}, ["Mcp-Param-Count: 42"], id="case-24-without-argument"),
    pytest.param(
        {"count": 42}, ["Mcp-Param-Count: 42", "Mcp-Param-Count: 42"], id="case-24-doubled"
    ),
]


@pytest.mark.parametrize(("arguments", "fields"), PARAMS)
async def test_mirrored_arguments_must_equal_the_body(
    arguments: JsonObject, fields: list[str]
) -> None:
    async with a_world(upstreams={"crm": _mirroring()}) as world:
        good = call(arguments={"count": 42})
        assert (await world.raw(world.modern(good, "Mcp-Param-Count: 42"))).status == 200
        near = await world.raw(world.modern(good, "Mcp-Param-Count: 42.0", "Mcp-Param-Other: x"))
        assert near.status == 200
        sent = world.crm.seen[-1]
        assert (sent.field("mcp-param-count"), sent.field("mcp-param-other")) == ("42", "x")
        async with world.refuses("malformed"):
            answer = await world.raw(world.modern(call(arguments=arguments), *fields))
        assert answer.status == 400
        assert code_of(answer) in {-32020, -32600}


def _posted(world: World, message: JsonObject, *fields: str) -> bytes:
    body = orjson.dumps(message)
    sent = ("Content-Type: application/json", f"Accept: {BOTH}", f"Content-Length: {len(body)}")
    return world.head("POST", "/crm", *sent, *fields) + body


FUTURE = modern(CALL, {"io.modelcontextprotocol/protocolVersion": "2027-01-01"})
NO_CAPABILITIES = modern(CALL, {"io.modelcontextprotocol/clientCapabilities": None})
ROUTED = ("Mcp-Method: tools/call", "Mcp-Name: echo")
ERAS = [
    pytest.param(
        CALL, [f"Mcp-Protocol-Version: {MODERN}"], -32602, id="case-25-modern-header-legacy-body"
    ),
    pytest.param(modern(INITIALIZE), [], -32020, id="case-25-initialize-with-modern-meta"),
    pytest.param(CALL, ["Mcp-Protocol-Version: 1999-01-01"], -32600, id="case-25-unknown-version"),
    pytest.param(modern(CALL), [], -32020, id="case-25-no-version"),
    pytest.param(
        FUTURE, ["Mcp-Protocol-Version: 2027-01-01", *ROUTED], -32022, id="case-25-later-version"
    ),
    pytest.param(
        NO_CAPABILITIES,
        [f"Mcp-Protocol-Version: {MODERN}", *ROUTED],
        -32602,
        id="case-26-no-capabilities",
    ),
]


@pytest.mark.parametrize(("message", "fields", "code"), ERAS)
async def test_a_request_belongs_to_one_era_or_none(
    message: JsonObject, fields: list[str], code: int
) -> None:
    async with a_world() as world:
        assert (await world.raw(world.modern(CALL))).status == 200
        assert (await world.raw(world.legacy(CALL))).status == 200
        async with world.refuses("malformed"):
            answer = await world.raw(_posted(world, message, *fields))
        assert (answer.status, code_of(answer)) == (400, code)


async def test_case_25_the_minimum_version_holds() -> None:
    settings: JsonObject = {"upstreams": {"crm": {"mcp": {"min_version": "2025-11-25"}}}}
    async with a_world(settings=settings) as world:
        assert (await world.raw(world.legacy(CALL))).status == 200
        async with world.refuses("malformed", count=2):
            old = await world.raw(_posted(world, CALL, "Mcp-Protocol-Version: 2025-06-18"))
            none = await world.raw(_posted(world, CALL))
        assert (old.status, none.status) == (400, 400)


async def test_case_26_a_denied_capability_is_absent_upstream() -> None:
    async with a_world(a_policy(hidden=["crm/sampling/createMessage"])) as world:
        capabilities: JsonObject = {"sampling": {}, "roots": {}}
        meta: JsonObject = {"io.modelcontextprotocol/clientCapabilities": capabilities}
        assert (await world.raw(world.modern(modern(CALL, meta)))).status == 200
        sent = orjson.loads(world.crm.seen[-1].body)["params"]["_meta"]
        assert sent["io.modelcontextprotocol/clientCapabilities"] == {"roots": {}}


async def test_case_27_a_session_id_on_the_modern_wire_is_ignored() -> None:
    async with a_world() as world:
        assert (await world.raw(world.modern(CALL))).status == 200
        answer = await world.raw(world.modern(CALL, "Mcp-Session-Id: made-up"))
        assert (answer.status, answer.field("mcp-session-id")) == (200, None)
        assert world.crm.seen[-1].field("mcp-session-id") is None
        await open_session(world)
        # the same on the legacy wire names a session, and must be one
        async with world.refuses("unrecognised"):
            foreign = await world.raw(world.legacy(CALL, session="made-up"))
        assert foreign.status == 404


MEDIA = [
    pytest.param("application/json", "application/json", 406, id="case-28-no-stream"),
    pytest.param("application/json", "text/event-stream", 406, id="case-28-no-json"),
    pytest.param("application/json", BOTH + ";q=0", 406, id="case-28-stream-unwanted"),
    pytest.param("text/plain", BOTH, 415, id="case-28-text"),
    pytest.param("application/json; charset=latin-1", BOTH, 415, id="case-28-charset"),
]


@pytest.mark.parametrize(("content", "accept", "status"), MEDIA)
async def test_media_types_are_those_of_the_protocol(
    content: str, accept: str, status: int
) -> None:
    body = orjson.dumps(CALL)

    async def posted(world: World, kind: str, wanted: str) -> RawAnswer:
        fields = (f"Accept: {wanted}", f"Mcp-Protocol-Version: {LEGACY}")
        return await world.post("/crm", body, *fields, kind=kind)

    async with a_world() as world:
        assert (await posted(world, "application/json", BOTH)).status == 200
        assert (await posted(world, "application/json; charset=UTF-8", "*/*")).status == 200
        async with world.refuses("malformed"):
            assert (await posted(world, content, accept)).status == status


async def test_case_29_a_foreign_origin_or_host_is_refused_before_parsing() -> None:
    async with a_world() as world:
        own = f"Origin: http://127.0.0.1:{world.port}"
        assert (await world.raw(world.legacy(CALL, own))).status == 200
        async with world.refuses("unrecognised", count=4):
            rebound = world.legacy(CALL).replace(b"Host: 127.0.0.1", b"Host: rebind.test")
            assert (await world.raw(rebound)).status == 421
            assert (await world.raw(world.legacy(CALL, "Origin: http://evil.test"))).status == 403
            assert (await world.raw(world.legacy(CALL, "Origin: null"))).status == 403
            # before parsing: what the body holds plays no part
            assert (await world.raw(world.legacy(b"{", "Origin: http://a.test"))).status == 403


VERBS = [
    pytest.param(verb, version, allow, id=f"case-30-{verb}-{version}")
    for version, verbs, allow in (
        (LEGACY, ("PUT", "PATCH", "HEAD", "OPTIONS"), "GET, POST, DELETE"),
        (MODERN, ("GET", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"), "POST"),
    )
    for verb in verbs
]


@pytest.mark.parametrize(("verb", "version", "allow"), VERBS)
async def test_other_verbs_are_refused_with_the_ones_that_are_taken(
    verb: str, version: str, allow: str
) -> None:
    async with a_world() as world:
        assert (await world.raw(world.legacy(request("ping")))).status == 200
        async with world.refuses("malformed"):
            data = world.head(verb, "/crm", f"Mcp-Protocol-Version: {version}", f"Accept: {BOTH}")
            answer = await world.raw(data)
        assert (answer.status, answer.field("allow")) == (405, allow)
