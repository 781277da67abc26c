"""Laws of the MCP adapter: only its own error is raised, and what was judged is what leaves."""

import orjson
import pytest
from hypothesis import given, strategies as st

from outrider.core.errors import EnforcementError
from outrider.core.jsonvalue import Json, JsonObject, as_object
from tests.support.mcp_exchange import (
    AGENT,
    MODERN,
    FakeUpstream,
    Sidecar,
    a_head,
    a_tool,
    event,
    legacy_headers,
    replies,
    request,
    streams,
)

_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["", "echo", "2.0", "x"])
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["name", "uri", "_meta", "cursor", "a", "type", "ref", "arguments"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)
_METHODS = st.sampled_from(
    [
        "tools/call", "tools/list", "prompts/get", "resources/read", "initialize", "ping",
        "completion/complete", "subscriptions/listen", "server/discover", "logging/setLevel",
        "notifications/cancelled", "tasks/get", "roots/list", "x",
    ]
)  # fmt: skip
_META = st.fixed_dictionaries(
    {},
    optional={
        "io.modelcontextprotocol/protocolVersion": st.sampled_from([MODERN, "2027-01-01", 7]),
        "io.modelcontextprotocol/clientCapabilities": st.one_of(st.just({}), _VALUES),
        "dev.outrider/task": _VALUES,
    },
)
_PARAMS = st.one_of(
    _VALUES,
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.sampled_from(["echo", "Echo", "", 7]),
            "arguments": st.one_of(st.just({"text": "hi"}), _VALUES),
            "uri": st.sampled_from(["note://a", "note://a/../b", 7]),
            "requestId": _SCALARS,
            "notifications": _VALUES,
            "protocolVersion": st.sampled_from(["2025-11-25", "2024-11-05", 7]),
            "_meta": _META,
        },
    ),
)
_MESSAGES = st.fixed_dictionaries(
    {"jsonrpc": st.sampled_from(["2.0", "2.0", "2.0", "1.0"])},
    optional={"id": _SCALARS, "method": _METHODS, "params": _PARAMS, "result": _VALUES},
)
_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "mcp-protocol-version": st.sampled_from([MODERN, "2025-11-25", "x"]),
        "mcp-method": _METHODS,
        "mcp-name": st.sampled_from(["echo", "note://a", "=?base64?ZWNobw==?=", "=?base64?!?="]),
        "mcp-session-id": st.sampled_from(["s-1", "s-2"]),
    },
)


@given(message=st.one_of(_MESSAGES, _VALUES), fields=_FIELDS)
def test_whatever_is_posted_is_read_or_refused(message: Json, fields: dict[str, str]) -> None:
    sidecar = Sidecar()
    sidecar.open_session("s-1")
    headers = (*legacy_headers(version=None), *fields.items())
    answered = sidecar.exchange(a_head(headers=headers), orjson.dumps(message), AGENT)
    assert 200 <= answered.status < 500
    if answered.fault is None and answered.sent is not None:
        assert isinstance(answered.sent.body, bytes)
        sent = orjson.loads(answered.sent.body)
        assert sent["method" if "method" in sent else "id"] == as_object(message).get(
            "method" if "method" in sent else "id"
        )


@given(body=st.binary(max_size=64))
def test_whatever_bytes_are_posted_are_refused(body: bytes) -> None:
    assert Sidecar().post(body).status == 400


_ANSWERS = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0")},
    optional={
        "id": st.sampled_from([1, 1, 1, "1", 2, None]),
        "result": st.one_of(
            _VALUES,
            st.fixed_dictionaries(
                {},
                optional={
                    "tools": st.one_of(st.just([a_tool()]), st.lists(_VALUES, max_size=3)),
                    "nextCursor": _SCALARS,
                    "resultType": st.sampled_from(["complete", "input_required", "task"]),
                    "inputRequests": _VALUES,
                    "requestState": _SCALARS,
                    "structuredContent": _VALUES,
                    "task": _VALUES,
                },
            ),
        ),
        "error": st.one_of(st.just({"code": -1, "message": "no"}), _VALUES),
        "method": st.sampled_from(
            ["sampling/createMessage", "elicitation/create", "notifications/message", "x"]
        ),
        "params": _VALUES,
    },
)


@pytest.mark.parametrize("method", ["tools/list", "tools/call"])
@given(answer=st.one_of(_ANSWERS, _VALUES), as_stream=st.booleans())
def test_whatever_an_upstream_says_is_passed_changed_or_refused(
    method: str, answer: Json, as_stream: bool
) -> None:
    sidecar = Sidecar(FakeUpstream())
    sidecar.modern(request("tools/list"))
    sidecar.upstream.answers[method] = streams(event(answer)) if as_stream else replies(answer)
    params: JsonObject = {"name": "echo", "arguments": {"text": "hi"}}
    answered = sidecar.modern(request(method, params if method == "tools/call" else {}))
    assert answered.fault is None or isinstance(answered.fault, EnforcementError)
    finals = [one for one in answered.messages if "method" not in one] or [answered.json]
    assert [one["id"] for one in finals] == [1]
