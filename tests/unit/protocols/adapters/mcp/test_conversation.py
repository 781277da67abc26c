"""How an exchange leaves: one address, known fields, our own bytes."""

import orjson
import pytest

from outrider.core.errors import EnforcementError
from outrider.core.jsonvalue import JsonObject
from outrider.protocols.adapters.mcp.conversation import target_of
from tests.support.mcp_exchange import (
    AGENT,
    Sidecar,
    a_head,
    a_route,
    legacy_headers,
    modern,
    modern_headers,
    request,
)

CALL: JsonObject = request("tools/call", {"name": "echo", "arguments": {"text": "hi"}})


@pytest.mark.parametrize("path", ["/mcp/crm", "/mcp/crm/"])
def test_the_endpoint_is_the_configured_one(path: str) -> None:
    assert target_of(a_head(path=path), a_route()) == "/mcp"


@pytest.mark.parametrize(("path", "query"), [("/mcp/crm/x", ""), ("/mcp/crm", "k=v")])
def test_nothing_may_follow_it(path: str, query: str) -> None:
    with pytest.raises(EnforcementError) as refused:
        target_of(a_head(path=path, query=query), a_route())
    assert refused.value.status == 404


def test_only_known_fields_of_the_caller_go_on() -> None:
    extra = (("user-agent", "sdk/1"), ("x-tenant", "other"), ("x-mcp-thing", "1"))
    answered = Sidecar().post(CALL, (*legacy_headers(), *extra))
    assert answered.sent is not None
    fields = dict(answered.sent.headers)
    assert fields["user-agent"] == "outrider"
    assert fields["accept-encoding"] == "identity"
    assert set(fields) == {
        "content-type",
        "accept",
        "accept-encoding",
        "user-agent",
        "traceparent",
        "mcp-protocol-version",
    }


def test_what_leaves_is_our_serialisation_of_what_was_judged() -> None:
    raw = (
        b' { "jsonrpc" : "2.0", "method":"tools/call","id":1 , '
        b'"params":{"name":"echo","arguments":{"text":"h\\u0069"}} } '
    )
    answered = Sidecar().post(raw)
    assert answered.sent is not None
    assert answered.sent.body == (
        b'{"jsonrpc":"2.0","method":"tools/call","id":1,'
        b'"params":{"name":"echo","arguments":{"text":"hi"}}}'
    )


def test_case_50_only_the_legacy_wire_runs_on_without_its_caller() -> None:
    sidecar = Sidecar()
    sidecar.post(CALL)
    sidecar.modern(CALL)
    legacy = sidecar.inbound(a_head(headers=legacy_headers()), orjson.dumps(CALL), AGENT)
    message = modern(CALL)
    head = a_head(headers=modern_headers(message))
    late = sidecar.inbound(head, orjson.dumps(message), AGENT)
    assert sidecar.adapter.parse(legacy).runs_on is True
    assert sidecar.adapter.parse(late).runs_on is False
