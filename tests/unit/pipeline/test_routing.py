"""Settings decide where an exchange goes; nothing is guessed."""

import pytest

from outrider.pipeline.routing import RouteTable
from tests.support.builders import a_head, a_route

TABLE = RouteTable(
    [
        a_route(name="crm", prefix="/mcp/crm"),
        a_route(name="crm-admin", prefix="/mcp/crm/admin"),
        a_route(name="people", prefix="", host="people.internal"),
        a_route(name="old-people", prefix="/v1", host="people.internal"),
    ]
)


@pytest.mark.parametrize(
    ("host", "path", "absolute", "name"),
    [
        pytest.param("127.0.0.1:15001", "/mcp/crm", False, "crm", id="exact"),
        pytest.param("127.0.0.1:15001", "/mcp/crm/x", False, "crm", id="below"),
        pytest.param("127.0.0.1:15001", "/mcp/crm/admin/x", False, "crm-admin", id="longest"),
        pytest.param("127.0.0.1:15001", "/mcp/crm2", False, None, id="not-at-a-segment"),
        pytest.param("127.0.0.1:15001", "/mcp", False, None, id="above"),
        pytest.param("127.0.0.1:15001", "/MCP/crm", False, None, id="other-case"),
        pytest.param("people.internal", "/anything", False, "people", id="host"),
        pytest.param("people.internal", "/v1/a", False, "old-people", id="host-and-prefix"),
        pytest.param("people.internal", "/mcp/crm", False, "people", id="host-has-its-own"),
        pytest.param("people.internal", "/a", True, "people", id="absolute-form"),
        pytest.param("127.0.0.1:15001", "/mcp/crm", True, None, id="absolute-form-needs-a-host"),
        pytest.param("127.0.0.1:15001", "/.outrider/task", False, None, id="reserved"),
        pytest.param("people.internal", "/.outrider/task", False, None, id="reserved-by-host"),
    ],
)
def test_a_route_is_found_by_host_and_longest_prefix(
    host: str, path: str, absolute: bool, name: str | None
) -> None:
    route = TABLE.choose(a_head(host=host, path=path, absolute=absolute))
    assert (route.name if route else None) == name


def test_the_table_names_its_hosts() -> None:
    assert TABLE.hosts == {"people.internal"}
