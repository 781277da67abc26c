import orjson

from outrider.control.agents import AgentOperations
from outrider.control.api import Call
from outrider.core.jsonvalue import JsonObject


async def test_the_inventory_is_read_and_nothing_else() -> None:
    document: JsonObject = {"agents": [], "forgotten": 0}
    (endpoint,) = AgentOperations(document=lambda: document).endpoints()
    assert (endpoint.method, endpoint.path, endpoint.token) == ("GET", "/v1/agents", "operator")
    response = await endpoint.run(Call(query={}, body=None, headers={}))
    assert (response.status, orjson.loads(response.body)) == (200, document)
