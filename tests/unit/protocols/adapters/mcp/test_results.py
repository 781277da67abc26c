"""PROTOCOLS §4.3, §4.7: what results are held to, by method."""

import pytest

from outrider.config.upstream_settings import McpOptions
from outrider.core.jsonvalue import JsonObject
from outrider.core.vocabulary import Reason
from tests.support.mcp_exchange import AGENT, FakeUpstream, Sidecar, a_tool, replies, request


def test_an_upstream_gives_a_handle_to_one_tool_alone() -> None:
    sidecar = Sidecar(FakeUpstream(a_tool("read"), a_tool("pay")))
    sidecar.post(request("tools/list"))
    made: JsonObject = {"task": {"taskId": "t-1"}}
    sidecar.upstream.answers["tools/call"] = replies({"jsonrpc": "2.0", "id": 1, "result": made})
    faults = []
    for name in ("pay", "pay", "read"):
        call = request("tools/call", {"name": name, "arguments": {"text": "hi"}, "task": {}})
        faults.append(sidecar.post(call).fault)
    assert faults[:2] == [None, None]
    assert faults[2] is not None
    assert faults[2].reason is Reason.UPSTREAM_ERROR


@pytest.mark.parametrize(("content", "passes"), [({"n": 1}, True), ({"n": "x"}, False)])
@pytest.mark.parametrize(("method", "era"), [("tasks/result", "legacy"), ("tasks/get", "modern")])
def test_what_a_task_came_to_is_held_to_its_tool_s_schema(
    method: str, era: str, content: JsonObject, passes: bool
) -> None:
    schema: JsonObject = {"type": "object", "properties": {"n": {"type": "integer"}}}
    upstream = FakeUpstream(a_tool(outputSchema=schema))
    sidecar = Sidecar(upstream, options=McpOptions(structured_output="enforce"))
    sidecar.post(request("tools/list"))
    sidecar.sessions.give_handle(subject=AGENT, upstream="crm", handle="t-1", tool="echo")
    came: JsonObject = {"content": [], "structuredContent": content}
    whole = came if era == "legacy" else {"resultType": "complete", "result": came}
    upstream.answers[method] = replies({"jsonrpc": "2.0", "id": 1, "result": whole})
    fetch = request(method, {"taskId": "t-1"})
    answered = sidecar.modern(fetch) if era == "modern" else sidecar.post(fetch)
    assert (answered.fault is None) is passes
