"""A session's own exchanges go to its upstream as the session's."""

from outrider.core.jsonvalue import JsonObject
from tests.support.mcp_exchange import Sidecar, a_head, legacy_headers, request

CALL: JsonObject = request("tools/call", {"name": "echo", "arguments": {"text": "hi"}})


def test_a_session_and_its_version_go_on_as_they_came() -> None:
    sidecar = Sidecar()
    sidecar.open_session("s-1")
    answered = sidecar.post(CALL, legacy_headers("s-1"))
    assert answered.sent is not None
    assert dict(answered.sent.headers)["mcp-session-id"] == "s-1"
    sidecar.upstream.answers["DELETE"] = (200, (), ())
    ended = sidecar.exchange(a_head("DELETE", legacy_headers("s-1")), None)
    assert ended.sent is not None
    assert (ended.sent.method, ended.sent.body) == ("DELETE", b"")
    assert dict(ended.sent.headers)["mcp-session-id"] == "s-1"
