"""PROTOCOLS §12, envelope and headers: what is refused before anything is asked, by case number."""

from collections.abc import Callable

import orjson
import pytest

from outrider.config.upstream_settings import McpOptions
from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.core.vocabulary import Reason
from tests.support.mcp_exchange import (
    BOTH,
    LEGACY,
    MODERN,
    OTHER,
    FakeUpstream,
    Sidecar,
    a_head,
    a_tool,
    event,
    legacy_headers,
    modern,
    modern_headers,
    replies,
    request,
    streams,
)

CALL: JsonObject = request("tools/call", {"name": "echo", "arguments": {"text": "hi"}})


def _with(**members: Json) -> JsonObject:
    return {**CALL, **members}


def _without(member: str) -> JsonObject:
    return {key: value for key, value in CALL.items() if key != member}


def _params(**members: Json) -> JsonObject:
    return request("tools/call", {"name": "echo", "arguments": {"text": "hi"}, **members})


RAW = orjson.dumps(CALL)

ENVELOPES = [
    pytest.param(b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', -32600, id="case-1-top"),
    pytest.param(RAW.replace(b'"text":"hi"', b'"text":"a","text":"b"'), -32600, id="case-1-deep"),
    pytest.param(_with(Method="ping"), -32600, id="case-2-beside"),
    pytest.param(RAW.replace(b'"params"', b'"PARAMS"'), -32600, id="case-2-instead"),
    pytest.param(RAW.replace(b'"params"', b'"param\xc5\xbf"'), -32600, id="case-2-long-s"),
    pytest.param(_params(Name="x"), -32600, id="case-2-in-params"),
    pytest.param(
        RAW.replace(b'"method"', b'"\\u006dethod":"ping","method"'), -32600, id="case-3-twice"
    ),
    pytest.param([CALL], -32600, id="case-4-batch"),
    pytest.param([], -32600, id="case-4-empty"),
    pytest.param([[CALL]], -32600, id="case-4-nested"),
    pytest.param(_with(id=None), -32600, id="case-5-null"),
    pytest.param(_with(id=True), -32600, id="case-5-bool"),
    pytest.param(_with(id=1.5), -32600, id="case-5-float"),
    pytest.param(_with(id={}), -32600, id="case-5-object"),
    pytest.param(_with(id=[1]), -32600, id="case-5-array"),
    pytest.param(RAW.replace(b'"id":1', b'"id":9007199254740992'), -32600, id="case-6-large"),
    pytest.param(_with(id="é" * 129), -32600, id="case-6-long"),
    pytest.param(_without("id"), -32600, id="case-8-call-without-id"),
    pytest.param(_without("jsonrpc"), -32600, id="case-9-missing"),
    pytest.param(_with(jsonrpc="1.0"), -32600, id="case-9-one"),
    pytest.param(_with(jsonrpc=2.0), -32600, id="case-9-number"),
    pytest.param(_without("params"), -32602, id="case-10-no-params"),
    pytest.param(_with(params=["echo"]), -32602, id="case-10-array"),
    pytest.param(_with(params="echo"), -32602, id="case-10-string"),
    pytest.param(_params(arguments=["hi"]), -32602, id="case-10-arguments-array"),
    pytest.param(_params(arguments=None), -32602, id="case-10-arguments-null"),
    pytest.param(_params(arguments="hi"), -32602, id="case-10-arguments-string"),
    pytest.param(_params(dry_run=True), -32602, id="case-10-unknown-member"),
    pytest.param(_with(result={}), -32600, id="case-11-result-and-method"),
    pytest.param(_with(extra=1), -32600, id="case-11-extra"),
    pytest.param(RAW.decode().encode("utf-16"), -32700, id="case-12-utf-16"),
    pytest.param(b"\xef\xbb\xbf" + RAW, -32700, id="case-12-bom"),
    pytest.param(RAW.replace(b"hi", b"\xff"), -32700, id="case-12-invalid"),
    pytest.param(RAW.replace(b"hi", b"\xc0\xaf"), -32700, id="case-12-overlong"),
    pytest.param(RAW.replace(b"hi", b"\\ud800"), -32700, id="case-12-surrogate"),
    pytest.param(RAW.replace(b'"hi"', b"NaN"), -32700, id="case-13-nan"),
    pytest.param(RAW.replace(b'"hi"', b"1e400"), -32700, id="case-13-infinite"),
    pytest.param(RAW.replace(b'"hi"', b"9" * 5000), -32700, id="case-13-digits"),
    pytest.param(RAW.replace(b'"hi"', b"[" * 80 + b"]" * 80), -32600, id="case-14-depth"),
    pytest.param(_params(arguments={"text": [0] * 10_001}), -32600, id="case-14-nodes"),
    pytest.param(RAW + RAW, -32700, id="case-15-two"),
    pytest.param(RAW + b" x", -32700, id="case-15-garbage"),
    pytest.param(_params(name=7), -32602, id="case-18-number"),
]


@pytest.mark.parametrize(("body", "code"), ENVELOPES)
def test_a_broken_envelope_is_refused_and_nothing_is_forwarded(body: Json, code: int) -> None:
    sidecar = Sidecar()
    answered = sidecar.post(body)
    # A client of the legacy wire sends nothing more after a 4xx: of what could be read as a
    # request only what it says is refused.
    assert (answered.status, answered.code) == (200 if code == -32602 else 400, code)
    assert sidecar.upstream.received == []


SAID: list[tuple[str, Json | bytes]] = [
    ("large", RAW.replace(b'"hi"', b"9007199254740992")),
    ("small", RAW.replace(b'"hi"', b"[-9007199254740992]")),
    ("sixty-five-bits", RAW.replace(b'"hi"', b"18446744073709551616")),
    ("float", RAW.replace(b'"hi"', b"1e20")),
    *(
        (f"case-16-{label}", _params(name=name))
        for label, name in {
            "nul": "ec\0ho",
            "crlf": "ec\r\nho",
            "del": "ec\x7fho",
            "space": "echo ",
            "slash": "a/echo",
            "dots": "..",
            "percent": "%65cho",
            "long": "e" * 129,
            "empty": "",
        }.items()
    ),
]


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in SAID])
def test_what_a_model_wrote_and_can_mend_is_told_in_a_result(body: Json | bytes) -> None:
    sidecar = Sidecar()
    answered = sidecar.post(body)
    assert (answered.status, answered.json["id"]) == (200, 1)
    assert answered.result["isError"] is True
    decision = as_object(as_object(answered.result["_meta"])["dev.outrider/decision"])
    assert decision["reason"] == "malformed"
    assert sidecar.upstream.received == []


def test_a_number_beyond_bounds_in_another_request_is_an_error_under_its_id() -> None:
    answered = Sidecar().post(b'{"jsonrpc":"2.0","id":"7","method":"ping","params":{"n":1e20}}')
    assert (answered.status, answered.code, answered.json["id"]) == (200, -32600, "7")


def test_on_the_modern_wire_a_number_beyond_bounds_keeps_its_status() -> None:
    body = orjson.dumps(modern(CALL)).replace(b'"hi"', b"1e20")
    headers = modern_headers(modern(CALL))
    answered = Sidecar().exchange(a_head(headers=headers), body)
    assert (answered.status, answered.code, answered.json["id"]) == (400, -32600, 1)


@pytest.mark.parametrize("body", [b'{"jsonrpc":"2.0","id":"7","\\u006dethod":"ping"}'])
def test_an_escaped_key_is_the_key_it_says(body: bytes) -> None:
    answered = Sidecar().post(body)
    assert (answered.status, answered.json["id"]) == (200, "7")


@pytest.mark.parametrize("id_", [1, "1", 0, -7, "", 2**53 - 1, "x" * 256], ids=repr)
def test_case_6_an_id_comes_back_as_it_was(id_: Json) -> None:
    for call in (_with(id=id_), _with(id=id_, params={"name": "absent"})):
        answered = Sidecar().post(call)
        assert answered.json["id"] == id_
        assert type(answered.json["id"]) is type(id_)


def test_case_20_keys_of_javascript_are_plain_data() -> None:
    sidecar = Sidecar()
    arguments: JsonObject = {"text": "hi", "__proto__": {"a": 1}, "constructor": 2}
    answered = sidecar.post(_params(arguments=arguments))
    assert answered.status == 200
    assert answered.asked[0].arguments == arguments


def test_case_7_an_id_under_way_is_not_taken_twice_in_a_session() -> None:
    sidecar = Sidecar()
    sidecar.open_session("s-1")
    sidecar.post(CALL, legacy_headers("s-1"))
    inbound = sidecar.inbound(
        a_head(headers=legacy_headers("s-1")), orjson.dumps(CALL), "spiffe://acme.test/agent/one"
    )
    under_way = sidecar.adapter.parse(inbound)
    second = sidecar.post(CALL, legacy_headers("s-1"))
    assert (second.status, second.code, second.json["id"]) == (400, -32600, 1)
    assert sidecar.post(_with(id="1"), legacy_headers("s-1")).status == 200
    del under_way
    assert sidecar.post(CALL, legacy_headers("s-1")).status == 200


def test_case_7_modern_requests_share_no_ids() -> None:
    sidecar = Sidecar()
    sidecar.modern(CALL)
    message = modern(CALL)
    head = a_head(headers=modern_headers(message))
    first = sidecar.adapter.parse(sidecar.inbound(head, orjson.dumps(message), "spiffe://a/b"))
    assert sidecar.modern(CALL).status == 200
    assert first is not None


METHODS = [
    pytest.param("tools/unknown", id="case-19-unknown"),
    pytest.param("vendor/thing", id="case-19-vendor"),
    pytest.param("sampling/createMessage", id="case-19-server-only"),
    pytest.param("elicitation/create", id="case-19-elicitation"),
    pytest.param("server/discover", id="case-19-other-era"),
]


@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_method_is_not_found(method: str) -> None:
    sidecar = Sidecar()
    legacy = sidecar.post(request(method, {}))
    assert (legacy.status, legacy.code, legacy.json["id"]) == (200, -32601, 1)
    name = "initialize" if method == "server/discover" else method
    if name != "initialize":
        answered = sidecar.modern(request(name, {}))
        assert (answered.status, answered.code) == (404, -32601)
    assert sidecar.upstream.received == []


HEADERS = [
    pytest.param({"mcp_name": "other"}, -32020, id="case-21-mcp-name-differs"),
    pytest.param({"mcp_name": "Echo"}, -32020, id="case-21-mcp-name-case"),
    pytest.param({"mcp_name": None}, -32020, id="case-21-mcp-name-missing"),
    pytest.param({"mcp_method": "tools/list"}, -32020, id="case-21-mcp-method-differs"),
    pytest.param({"mcp_method": None}, -32020, id="case-21-mcp-method-missing"),
    pytest.param({"mcp_protocol_version": "2025-11-25"}, -32020, id="case-21-version-differs"),
    pytest.param({"mcp_protocol_version": None}, -32020, id="case-21-version-missing"),
    pytest.param({"mcp_name": "=?base64?ZWNobw=?="}, -32020, id="case-23-padding"),
    pytest.param({"mcp_name": "=?base64?ZWNobx==?="}, -32020, id="case-23-stray-bits"),
    pytest.param({"mcp_name": "=?BASE64?ZWNobw==?="}, -32020, id="case-23-upper-case"),
    pytest.param({"mcp_name": "=?base64?//79?="}, -32020, id="case-23-not-utf-8"),
]


@pytest.mark.parametrize(("changes", "code"), HEADERS)
def test_mirrored_headers_must_equal_the_body(changes: dict[str, str | None], code: int) -> None:
    sidecar = Sidecar()
    answered = sidecar.modern(CALL, **changes)
    assert (answered.status, answered.code, answered.json["id"]) == (400, code, 1)
    assert sidecar.upstream.received == []


def test_case_23_an_encoded_name_is_read_and_written_plain() -> None:
    answered = Sidecar().modern(CALL, mcp_name="=?base64?ZWNobw==?=")
    assert answered.status == 200
    assert answered.sent is not None
    assert ("mcp-name", "echo") in answered.sent.headers


def test_case_22_a_routing_header_that_stands_twice_is_refused() -> None:
    sidecar = Sidecar()
    message = modern(CALL)
    headers = (*modern_headers(message), ("mcp-name", "echo"))
    answered = sidecar.post(message, headers)
    assert (answered.status, answered.code) == (400, -32020)
    assert sidecar.upstream.received == []


def _mirroring() -> FakeUpstream:
    properties: JsonObject = {
        "text": {"type": "string"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "on": {"type": "boolean", "x-mcp-header": "On"},
        "place": {
            "type": "object",
            "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
        },
    }
    return FakeUpstream(a_tool(inputSchema={"type": "object", "properties": properties}))


PARAMS = [
    pytest.param({"count": 42}, {"mcp_param_count": "42"}, 200, id="case-24-equal"),
    pytest.param({"count": 42}, {"mcp_param_count": "42.0"}, 200, id="case-24-42-is-42.0"),
    pytest.param({"count": 42}, {"mcp_param_count": "4.2e1"}, 400, id="case-24-exponent"),
    pytest.param({"count": 42}, {}, 400, id="case-24-missing"),
    pytest.param({"count": 42}, {"mcp_param_count": "43"}, 400, id="case-24-differs"),
    pytest.param({}, {"mcp_param_count": "42"}, 400, id="case-24-without-argument"),
    pytest.param({"count": None}, {}, 200, id="case-24-null-is-absent"),
    pytest.param({"on": True}, {"mcp_param_on": "true"}, 200, id="case-24-boolean"),
    pytest.param({"on": True}, {"mcp_param_on": "1"}, 400, id="case-24-boolean-as-number"),
    pytest.param({"place": {"region": "eu"}}, {"mcp_param_region": "eu"}, 200, id="case-24-nested"),
    pytest.param(
        {"place": {"region": "eu"}}, {"mcp_param_region": "us"}, 400, id="case-24-nested-differs"
    ),
    pytest.param({}, {"mcp_param_other": "x"}, 200, id="case-24-unknown"),
]


@pytest.mark.parametrize(("arguments", "headers", "status"), PARAMS)
def test_mirrored_arguments_must_equal_the_body(
    arguments: JsonObject, headers: dict[str, str], status: int
) -> None:
    sidecar = Sidecar(_mirroring())
    call = request("tools/call", {"name": "echo", "arguments": arguments})
    answered = sidecar.modern(call, **headers)
    assert answered.status == status
    assert answered.code == (None if status == 200 else -32020)
    assert ("tools/call" in sidecar.upstream.methods) is (status == 200)


def test_case_24_an_unknown_mirrored_argument_is_told_and_forwarded() -> None:
    answered = Sidecar(_mirroring()).modern(
        request("tools/call", {"name": "echo", "arguments": {"count": 42}}),
        mcp_param_count="42.0",
        mcp_param_other="x",
    )
    assert answered.sent is not None
    fields = dict(answered.sent.headers)
    assert (fields["mcp-param-count"], fields["mcp-param-other"]) == ("42", "x")
    assert answered.asked[0].arguments == {"count": 42, "header.mcp-param-other": "x"}


def test_an_argument_cannot_pass_for_a_mirrored_one() -> None:
    arguments: JsonObject = {"count": 42, "header.mcp-param-other": "x"}
    call = request("tools/call", {"name": "echo", "arguments": arguments})
    assert Sidecar(_mirroring()).modern(call, mcp_param_count="42").code == -32602


INITIALIZE = request(
    "initialize", {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {}}
)

ERAS = [
    pytest.param(CALL, {"mcp-protocol-version": MODERN}, -32602, id="case-25-modern-header"),
    pytest.param(modern(INITIALIZE), {}, -32020, id="case-25-initialize-with-meta"),
    pytest.param(CALL, {"mcp-protocol-version": "1999-01-01"}, -32600, id="case-25-unknown"),
    pytest.param(modern(CALL), {}, -32020, id="case-25-meta-without-header"),
    pytest.param(
        modern(CALL, {"io.modelcontextprotocol/protocolVersion": "2027-01-01"}),
        {"mcp-protocol-version": "2027-01-01", "mcp-method": "tools/call", "mcp-name": "echo"},
        -32022,
        id="case-25-later-version",
    ),
    pytest.param(
        modern(CALL, {"io.modelcontextprotocol/clientCapabilities": None}),
        {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "echo"},
        -32602,
        id="case-26-no-capabilities",
    ),
]


@pytest.mark.parametrize(("message", "fields", "code"), ERAS)
def test_a_request_belongs_to_one_era_or_none(
    message: JsonObject, fields: dict[str, str], code: int
) -> None:
    sidecar = Sidecar()
    headers = (*legacy_headers(version=None), *fields.items())
    answered = sidecar.post(message, headers)
    assert (answered.status, answered.code) == (400, code)
    assert sidecar.upstream.received == []


def test_case_25_an_unsupported_version_names_the_supported() -> None:
    message = modern(CALL, {"io.modelcontextprotocol/protocolVersion": "2027-01-01"})
    answered = Sidecar().post(message, modern_headers(message, mcp_protocol_version="2027-01-01"))
    error = answered.json["error"]
    assert isinstance(error, dict)
    assert isinstance(error["data"], dict)
    assert error["data"]["supported"] == [MODERN]
    assert error["data"]["requested"] == "2027-01-01"


@pytest.mark.parametrize(
    ("minimum", "message", "version", "status"),
    [
        pytest.param("2025-06-18", CALL, None, 400, id="case-25-absent-is-the-oldest"),
        pytest.param("2025-06-18", CALL, "2025-06-18", 200, id="case-25-just-enough"),
        pytest.param(MODERN, CALL, LEGACY, 400, id="case-25-modern-alone"),
        pytest.param(MODERN, INITIALIZE, None, 400, id="case-25-no-downgrade"),
    ],
)
def test_the_minimum_version_stops_a_downgrade(
    minimum: str, message: JsonObject, version: str | None, status: int
) -> None:
    sidecar = Sidecar(options=McpOptions(min_version=minimum))  # type: ignore[arg-type]
    assert sidecar.post(message, legacy_headers(version=version)).status == status


def test_case_27_a_session_id_on_the_modern_wire_is_ignored_both_ways() -> None:
    sidecar = Sidecar()
    sidecar.modern(CALL)
    sidecar.upstream.answers["tools/call"] = replies(
        {"jsonrpc": "2.0", "id": 1, "result": {"content": [], "resultType": "complete"}},
        mcp_session_id="minted",
    )
    answered = sidecar.modern(CALL, mcp_session_id="made-up")
    assert answered.status == 200
    assert answered.sent is not None
    assert "mcp-session-id" not in dict(answered.sent.headers)
    assert "mcp-session-id" not in answered.headers


NEGOTIATIONS = [
    pytest.param("application/json", BOTH, 200, id="case-28-plain"),
    pytest.param("application/json; charset=UTF-8", BOTH, 200, id="case-28-utf-8"),
    pytest.param("application/json", "*/*", 200, id="case-28-any"),
    pytest.param("application/json", "application/json", 406, id="case-28-no-stream"),
    pytest.param("application/json", "text/event-stream", 406, id="case-28-no-json"),
    pytest.param("application/json", BOTH + ";q=0", 406, id="case-28-stream-unwanted"),
    pytest.param("application/json", None, 406, id="case-28-none"),
    pytest.param("text/plain", BOTH, 415, id="case-28-text"),
    pytest.param("application/json; charset=latin-1", BOTH, 415, id="case-28-charset"),
    pytest.param(None, BOTH, 415, id="case-28-no-type"),
]


@pytest.mark.parametrize(("content", "accept", "status"), NEGOTIATIONS)
def test_media_types_are_those_of_the_protocol(
    content: str | None, accept: str | None, status: int
) -> None:
    fields = (("content-type", content), ("accept", accept), ("mcp-protocol-version", LEGACY))
    headers = tuple((name, value) for name, value in fields if value is not None)
    sidecar = Sidecar()
    assert sidecar.post(CALL, headers).status == status
    assert ("tools/call" in sidecar.upstream.methods) is (status == 200)


VERBS = [
    pytest.param(verb, version, allow, id=f"case-30-{verb}-{version}")
    for version, verbs, allow in (
        (LEGACY, ("PUT", "PATCH", "HEAD", "OPTIONS"), "GET, POST, DELETE"),
        (MODERN, ("GET", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"), "POST"),
    )
    for verb in verbs
]


@pytest.mark.parametrize(("verb", "version", "allow"), VERBS)
def test_other_verbs_are_refused_with_the_ones_that_are_taken(
    verb: str, version: str, allow: str
) -> None:
    sidecar = Sidecar()
    answered = sidecar.exchange(a_head(verb, legacy_headers(version=version)), None)
    assert (answered.status, answered.headers["allow"]) == (405, allow)
    assert sidecar.upstream.received == []


@pytest.mark.parametrize(
    ("path", "query"), [("/mcp/crm/admin", ""), ("/mcp/crm", "a=1")], ids=["path", "query"]
)
def test_the_endpoint_has_one_address(path: str, query: str) -> None:
    sidecar = Sidecar()
    head = a_head(headers=legacy_headers(), path=path, query=query)
    answered = sidecar.exchange(head, orjson.dumps(CALL))
    assert answered.fault is not None
    assert sidecar.upstream.received == []


# --- sessions and posted answers ---


def _asks_roots(message: JsonObject) -> tuple[int, tuple[tuple[str, str], ...], tuple[bytes, ...]]:
    ask: JsonObject = {"jsonrpc": "2.0", "id": 70, "method": "roots/list"}
    done: JsonObject = {"jsonrpc": "2.0", "id": message["id"], "result": {"content": []}}
    return streams(event(ask), event(done))  # type: ignore[return-value]


def _in_session() -> Sidecar:
    sidecar = Sidecar()
    sidecar.open_session("s-1")
    sidecar.post(_with(id=2), legacy_headers("s-1"))
    sidecar.upstream.answers["tools/call"] = _asks_roots
    sidecar.post(_with(id=3), legacy_headers("s-1"))
    return sidecar


POSTED = [
    pytest.param({"id": 70, "result": {"roots": []}}, 202, id="case-49-known"),
    pytest.param({"id": 70, "error": {"code": 1, "message": "no"}}, 202, id="case-49-an-error"),
    pytest.param({"id": 71, "result": {"roots": []}}, 400, id="case-49-unknown"),
    pytest.param({"id": "70", "result": {"roots": []}}, 400, id="case-49-other-type"),
]


@pytest.mark.parametrize(("answer", "status"), POSTED)
def test_a_posted_answer_must_fit_a_request_that_was_passed(
    answer: JsonObject, status: int
) -> None:
    sidecar = _in_session()
    before = len(sidecar.upstream.received)
    answered = sidecar.post({"jsonrpc": "2.0", **answer}, legacy_headers("s-1"))
    assert answered.status == status
    assert len(sidecar.upstream.received) - before == (1 if status == 202 else 0)


def test_case_49_an_answer_is_taken_once_and_from_its_own_subject() -> None:
    sidecar = _in_session()
    answer: JsonObject = {"jsonrpc": "2.0", "id": 70, "result": {"roots": []}}
    assert sidecar.post(answer, legacy_headers("s-1"), subject=OTHER).status == 404
    assert sidecar.post(answer, legacy_headers()).status == 400
    assert sidecar.post(answer, legacy_headers("s-1")).status == 202
    assert sidecar.post(answer, legacy_headers("s-1")).status == 400


SESSIONS: list[Callable[[Sidecar], int]] = [
    lambda sidecar: sidecar.post(CALL, legacy_headers("s-2")).status,
    lambda sidecar: sidecar.post(CALL, legacy_headers("s-1"), subject=OTHER).status,
    lambda sidecar: sidecar.exchange(a_head("DELETE", legacy_headers("s-1")), None, OTHER).status,
    lambda sidecar: sidecar.exchange(a_head("GET", legacy_headers("s-2")), None).status,
]


@pytest.mark.parametrize("attempt", SESSIONS, ids=["unknown", "foreign", "delete", "get"])
def test_case_56_a_session_that_is_not_the_callers_is_not_found(
    attempt: Callable[[Sidecar], int],
) -> None:
    sidecar = Sidecar()
    sidecar.open_session("s-1")
    before = len(sidecar.upstream.received)
    assert attempt(sidecar) == 404
    assert len(sidecar.upstream.received) == before


@pytest.mark.parametrize("minted", ["a b", "é", "", "x" * 257])
def test_case_56_an_illegal_session_id_of_the_upstream_is_refused(minted: str) -> None:
    answered = Sidecar().open_session(minted)
    assert answered.fault is not None
    assert answered.fault.reason is Reason.UPSTREAM_ERROR


def test_a_session_outlives_a_restart_with_its_owner_alone() -> None:
    before = Sidecar()
    stored = before.open_session("s-1").stored
    after = Sidecar(before.upstream)
    after.sessions.load({one.key: one.value for one in stored if one.value is not None})
    assert after.post(CALL, legacy_headers("s-1")).status == 200
    assert after.post(CALL, legacy_headers("s-1"), subject=OTHER).status == 404


def test_delete_ends_a_session_for_good() -> None:
    sidecar = Sidecar()
    sidecar.open_session("s-1")
    sidecar.upstream.answers["DELETE"] = (200, (), ())
    answered = sidecar.exchange(a_head("DELETE", legacy_headers("s-1")), None)
    assert (answered.status, answered.stored[0].value) == (200, None)
    assert sidecar.post(CALL, legacy_headers("s-1")).status == 404


def test_an_upstream_that_lost_the_session_ends_it_here_too() -> None:
    sidecar = Sidecar()
    sidecar.open_session("s-1")
    sidecar.upstream.answers["tools/list"] = (404, (), ())
    assert sidecar.post(CALL, legacy_headers("s-1")).status == 404
    assert sidecar.sessions.find("s-1", subject="x", upstream="crm", route="crm") is None


def test_get_405_is_normal() -> None:
    sidecar = Sidecar()
    sidecar.open_session("s-1")
    assert sidecar.exchange(a_head("GET", legacy_headers("s-1")), None).status == 405


def test_case_51_only_the_owner_resumes_a_stream_and_replays_are_watched() -> None:
    sidecar = Sidecar()
    sidecar.open_session("s-1")
    sidecar.post(_with(id=2), legacy_headers("s-1"))
    sidecar.upstream.answers["tools/call"] = streams(b"id: e1\ndata: \n\n")
    first = sidecar.post(_with(id=3), legacy_headers("s-1"))
    assert first.body == b"id: e1\ndata: \n\n"
    done: JsonObject = {"jsonrpc": "2.0", "id": 3, "result": {"content": []}}
    foreign: JsonObject = {"jsonrpc": "2.0", "id": 4, "result": {"content": []}}
    sidecar.upstream.answers["GET"] = streams(event(foreign), event(done, "e2"))

    def resume(last: str, subject: str) -> int:
        headers = (*legacy_headers("s-1"), ("last-event-id", last))
        return sidecar.exchange(a_head("GET", headers), None, subject).status

    assert resume("forged", "spiffe://acme.test/agent/one") == 400
    assert resume("e1", OTHER) == 404
    headers = (*legacy_headers("s-1"), ("last-event-id", "e1"))
    resumed = sidecar.exchange(a_head("GET", headers), None)
    assert resumed.messages == [done]
    assert resumed.events == ["response_dropped"]
    answers = resumed.asked[0].answers
    assert answers is not None
    assert (answers.name, answers.resource_id, answers.arguments) == (
        "tools/call",
        "crm/echo",
        None,
    )
    assert resumed.sent is not None
    assert ("last-event-id", "e1") in resumed.sent.headers
    again = sidecar.exchange(a_head("GET", headers), None)
    assert again.messages == [done]


def test_a_resumed_stream_may_end_before_the_answer_so_that_it_is_polled() -> None:
    sidecar = Sidecar()
    sidecar.open_session("s-1")
    sidecar.post(_with(id=2), legacy_headers("s-1"))
    sidecar.upstream.answers["tools/call"] = streams(b"id: e1\ndata: \n\n")
    sidecar.post(_with(id=3), legacy_headers("s-1"))
    sidecar.upstream.answers["GET"] = streams(b"retry: 100\n\n")
    headers = (*legacy_headers("s-1"), ("last-event-id", "e1"))
    answered = sidecar.exchange(a_head("GET", headers), None)
    assert (answered.fault, answered.body) == (None, b"retry: 100\n\n")
    sidecar.upstream.answers["GET"] = replies({})
    assert sidecar.exchange(a_head("GET", headers), None).fault is not None


def test_a_sessions_own_stream_brings_the_answer_of_no_call() -> None:
    sidecar = Sidecar()
    sidecar.open_session("s-1")
    sidecar.upstream.answers["GET"] = streams(b"retry: 100\n\n")
    answered = sidecar.exchange(a_head("GET", legacy_headers("s-1")), None)
    assert [ask.answers for ask in answered.asked] == [None]
