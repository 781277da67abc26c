"""What a listen request names is read strictly before it is asked."""

import pytest

from outrider.core.jsonvalue import Json, JsonObject
from tests.support.mcp_exchange import Sidecar, request


@pytest.mark.parametrize("value", [7, [1], {"a": 1}])
def test_a_listen_request_names_its_uris_as_strings(value: Json) -> None:
    wanted: JsonObject = {"notifications": {"resourceSubscriptions": value}}
    assert Sidecar().modern(request("subscriptions/listen", wanted)).code == -32602
