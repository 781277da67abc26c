"""What was withheld from a caller is told as what is not there."""

import pytest

from outrider.core.jsonvalue import JsonObject
from tests.support.mcp_exchange import FakeUpstream, Sidecar, a_tool, request

MIRRORS: JsonObject = {
    "type": "object",
    "properties": {"r": {"type": "string", "x-mcp-header": "Region"}},
}


@pytest.mark.parametrize(
    "params",
    [
        {"arguments": {"r": "x"}},
        {"arguments": {"r": "x"}, "inputResponses": []},
        {"arguments": []},
        {"other": 1},
    ],
    ids=["without-the-header", "bad-inputs", "no-object", "no-such-member"],
)
def test_what_is_wrong_with_a_call_of_a_hidden_tool_is_not_told(params: JsonObject) -> None:
    upstream = FakeUpstream(a_tool(), a_tool("hidden", inputSchema=MIRRORS))
    sidecar = Sidecar(upstream, verdict=lambda ask: ask.resource != "hidden")
    told = []
    for name in ("unknown", "hidden", "unknown", "hidden"):
        answered = sidecar.modern(request("tools/call", {"name": name, **params}))
        assert answered.fault is not None
        told.append((answered.status, answered.headers, answered.body, answered.fault.cause))
    assert told == told[:1] * 4


def test_a_changed_definition_of_a_hidden_tool_is_not_told() -> None:
    upstream = FakeUpstream(a_tool(), a_tool("hidden"))
    sidecar = Sidecar(upstream, verdict=lambda ask: ask.resource != "hidden")
    sidecar.modern(request("tools/list"))
    upstream.tools[1] = a_tool("hidden", description="other")
    sidecar.modern(request("tools/list"))
    unknown, hidden = (
        sidecar.modern(request("tools/call", {"name": name, "arguments": {}}))
        for name in ("unknown", "hidden")
    )
    assert (hidden.status, hidden.headers, hidden.body) == (
        unknown.status,
        unknown.headers,
        unknown.body,
    )


def test_a_tool_that_is_shown_still_says_what_is_wrong() -> None:
    sidecar = Sidecar(FakeUpstream(a_tool("shown", inputSchema=MIRRORS)))
    answered = sidecar.modern(request("tools/call", {"name": "shown", "arguments": {"r": "x"}}))
    assert (answered.status, answered.code) == (400, -32020)
