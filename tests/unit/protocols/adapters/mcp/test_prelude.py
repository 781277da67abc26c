"""What is not listed yet is listed first, and leaves for nobody before."""

import orjson
import pytest

from outrider.core.errors import EnforcementError
from outrider.core.jsonvalue import JsonObject
from tests.support.mcp_exchange import AGENT, Sidecar, a_head, legacy_headers, request

CALL: JsonObject = request("tools/call", {"name": "echo", "arguments": {"text": "hi"}})


def test_nothing_leaves_for_a_name_that_was_never_listed() -> None:
    sidecar = Sidecar()
    inbound = sidecar.inbound(a_head(headers=legacy_headers()), orjson.dumps(CALL), AGENT)
    conversation = sidecar.adapter.parse(inbound)
    with pytest.raises(EnforcementError):
        conversation.outgoing(sidecar.edits)
