"""What the agent answers a server is judged for what it can only be."""

import orjson
import pytest

from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.core.vocabulary import ActionEffect, Phase
from tests.support.mcp_exchange import Answered, Sidecar, legacy_headers, request

SAMPLED: JsonObject = {"role": "assistant", "content": {"type": "text", "text": "x"}, "model": "m"}
RESPONSES: list[tuple[Json, str | None]] = [
    ({"a": {"action": "accept", "content": {"n": 1}}}, "elicitation/create"),
    ({"a": {"action": "decline"}}, "elicitation/create"),
    ({"a": SAMPLED}, "sampling/createMessage"),
    ({"a": {"roots": []}}, "roots/list"),
    ({"a": {**SAMPLED, "roots": []}}, None),
    ({"a": {**SAMPLED, "action": "accept"}}, None),
    ({"a": {"role": "assistant", "content": {"type": "text", "text": "x"}}}, None),
    ({"a": {"action": "accept", "model": "m"}}, None),
    ({"a": {}}, None),
    ({"a": "x"}, None),
    ({"k" * 129: {"roots": []}}, None),
    ({str(n): {"roots": []} for n in range(65)}, None),
    ([], None),
]


@pytest.mark.parametrize(("responses", "method"), RESPONSES)
def test_an_input_response_is_judged_as_what_it_can_only_be(
    responses: Json, method: str | None
) -> None:
    sidecar = Sidecar()
    params: JsonObject = {"uri": "note://a", "inputResponses": responses}
    answered = sidecar.modern(request("resources/read", params))
    if method is None:
        assert (answered.code, sidecar.upstream.received) == (-32602, [])
    else:
        assert [ask.name for ask in answered.asked] == ["resources/read", method]


ROOTS: list[Json] = [
    {"uri": "file:///work", "name": "work"},
    {"uri": "file:///home/me", "name": "me"},
]


def _tells_roots(roots: Json, wire: str, hidden: set[str]) -> tuple[Sidecar, Answered]:
    sidecar = Sidecar(verdict=lambda ask: ask.resource not in hidden)
    sidecar.open_session("s-1")
    if wire == "modern":
        sidecar.modern(request("tools/list"))
        params: JsonObject = {
            "name": "echo",
            "arguments": {"text": "hi"},
            "inputResponses": {"r": {"roots": roots}},
        }
        return sidecar, sidecar.modern(request("tools/call", params))
    session = next(iter(sidecar.sessions._sessions._items))
    sidecar.sessions.scope(session).passed(70, "roots/list")
    answer: JsonObject = {"jsonrpc": "2.0", "id": 70, "result": {"roots": roots}}
    return sidecar, sidecar.post(answer, legacy_headers("s-1"))


def _roots_sent(sidecar: Sidecar, wire: str) -> Json:
    sent = orjson.loads(bytes(sidecar.upstream.received[-1].body))  # type: ignore[arg-type]
    told: Json = sent["params"]["inputResponses"]["r"] if wire == "modern" else sent["result"]
    return as_object(told)["roots"]


@pytest.mark.parametrize("wire", ["legacy", "modern"])
@pytest.mark.parametrize(
    ("hidden", "left"),
    [(set(), ROOTS), ({"file:///home/me"}, ROOTS[:1]), ({"file:///work", "file:///home/me"}, [])],
    ids=["all", "one", "none"],
)
def test_each_root_is_judged_by_its_own_uri(hidden: set[str], left: Json, wire: str) -> None:
    sidecar, answered = _tells_roots(orjson.loads(orjson.dumps(ROOTS)), wire, hidden)
    assert answered.fault is None
    assert _roots_sent(sidecar, wire) == left
    whole = answered.asked[-1]
    assert (whole.name, as_object(whole.arguments)["roots"]) == ("roots/list", left)
    judged = [ask for ask in answered.asked if ask.phase is Phase.LIST and ask.name == "roots/list"]
    assert {(ask.resource, ask.effect) for ask in judged} == {
        ("file:///work", ActionEffect.SHARE),
        ("file:///home/me", ActionEffect.SHARE),
    }


@pytest.mark.parametrize("wire", ["legacy", "modern"])
@pytest.mark.parametrize(
    "roots",
    [None, {}, ["file:///work"], [{"name": "x"}], [{"uri": "file:///a/../b"}], [ROOTS[0]] * 501],
    ids=["null", "object", "text", "no-uri", "dots", "many"],
)
def test_roots_that_cannot_be_judged_are_not_told(roots: Json, wire: str) -> None:
    sidecar, answered = _tells_roots(roots, wire, set())
    assert (answered.status, answered.code) == (400, -32602)
    assert sidecar.upstream.methods[-1] != "tools/call"
