"""PROTOCOLS §4.3: what a server says that it can, as far as it reaches the caller."""

from dataclasses import replace

import pytest

from outrider.core.action import Ask
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.manifest import Manifest, Zones
from outrider.core.vocabulary import Phase
from tests.support.mcp_exchange import (
    Answered,
    Sidecar,
    an_entry as an_upstream_entry,
    legacy_headers,
    replies,
    request,
)

TASKS: JsonObject = {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}
KNOWN: JsonObject = {
    "tools": {"listChanged": True},
    "prompts": {},
    "resources": {"subscribe": True, "listChanged": False},
    "completions": {},
    "logging": {},
}


def _begins(sidecar: Sidecar, capabilities: Json, version: str = "2025-11-25") -> Answered:
    result: JsonObject = {
        "protocolVersion": version,
        "capabilities": capabilities,
        "serverInfo": {"name": "fake", "version": "1"},
    }
    sidecar.upstream.answers["initialize"] = lambda message: replies(
        {"jsonrpc": "2.0", "id": message["id"], "result": result}
    )
    params: JsonObject = {
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    return sidecar.post(request("initialize", params), legacy_headers(version=None))


def _discovers(sidecar: Sidecar, capabilities: Json) -> Answered:
    result: JsonObject = {"capabilities": capabilities, "supportedVersions": ["2026-07-28"]}
    sidecar.upstream.answers["server/discover"] = replies(
        {"jsonrpc": "2.0", "id": 1, "result": result}
    )
    return sidecar.modern(request("server/discover"))


def test_what_reaches_the_caller_is_offered_as_the_server_says_it() -> None:
    assert _begins(Sidecar(), {**KNOWN}).result["capabilities"] == KNOWN
    assert _discovers(Sidecar(), {**KNOWN}).result["capabilities"] == KNOWN


UNKNOWN = [
    pytest.param({"experimental": {"a": {}}}, {}, id="experimental"),
    pytest.param({"vendor": {}}, {}, id="unknown"),
    pytest.param({"Tools": {}}, {}, id="near"),
    pytest.param({"tools": {"stream": {}}}, {"tools": {}}, id="member"),
    pytest.param({"tools": None, "prompts": True}, {}, id="no-objects"),
    pytest.param({"extensions": {"test/ext": {}}}, {}, id="extension"),
]


@pytest.mark.parametrize(("said", "expected"), UNKNOWN)
def test_what_is_not_passed_is_not_offered(said: JsonObject, expected: JsonObject) -> None:
    assert _begins(Sidecar(), dict(said)).result["capabilities"] == expected
    found = _discovers(Sidecar(), dict(said)).result["capabilities"]
    assert found == ({"extensions": {}} if "extensions" in said else expected)


@pytest.mark.parametrize(
    ("version", "expected"),
    [("2025-11-25", {"tasks": TASKS}), ("2025-06-18", {}), ("2025-03-26", {})],
)
def test_tasks_are_offered_where_the_version_has_them(version: str, expected: JsonObject) -> None:
    assert _begins(Sidecar(), {"tasks": TASKS}, version).result["capabilities"] == expected


def test_tasks_are_an_extension_on_the_modern_wire() -> None:
    known: JsonObject = {"io.modelcontextprotocol/tasks": {}}
    found = _discovers(Sidecar(), {"tasks": TASKS, "extensions": {**known, "test/ext": {}}})
    assert found.result["capabilities"] == {"extensions": known}


def test_what_announces_a_method_that_is_declared_may_be_offered() -> None:
    entry = an_upstream_entry()
    tools = {**entry.tools, "vendor/do": entry.default}
    declared = replace(entry, tools=tools)
    said: JsonObject = {"experimental": {"a": {}}, "extensions": {"test/ext": {}}, "vendor": {}}
    for plain, expected in (
        (True, {}),
        (False, {k: said[k] for k in ("experimental", "extensions")}),
    ):
        manifest = Manifest(upstreams={"crm": entry if plain else declared}, zones=Zones())
        sidecar = Sidecar(manifest=manifest)
        assert _begins(sidecar, dict(said)).result["capabilities"] == expected


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("tools/list", "tools"),
        ("prompts/list", "prompts"),
        ("resources/list", "resources"),
        ("completion/complete", "completions"),
        ("logging/setLevel", "logging"),
        ("tasks/list", "tasks"),
    ],
)
def test_what_policy_keeps_from_a_caller_is_not_offered_to_it(method: str, name: str) -> None:
    def verdict(ask: Ask) -> bool:
        return ask.resource != method

    said: JsonObject = {**KNOWN, "tasks": TASKS}
    answered = _begins(Sidecar(verdict=verdict), dict(said))
    assert answered.result["capabilities"] == {key: said[key] for key in said if key != name}
    assert all(ask.phase is not Phase.RESPONSE for ask in answered.asked)


@pytest.mark.parametrize("said", [None, [], "all"])
def test_what_cannot_be_read_offers_nothing_and_breaks_nothing(said: Json) -> None:
    assert _begins(Sidecar(), said).fault is None
