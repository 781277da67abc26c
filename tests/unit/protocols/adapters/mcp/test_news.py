"""PROTOCOLS §4.5, §12 case 67: what an open stream says once its caller may see other things."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import orjson
import pytest

from outrider.config.upstream_settings import McpOptions
from outrider.core.action import Ask
from outrider.core.exchange import ResponseHead
from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.core.ports import Conversation, Watcher, news_of
from outrider.core.vocabulary import Phase
from tests.support.mcp_exchange import (
    AGENT,
    Answered,
    FakeUpstream,
    Reply,
    Sidecar,
    a_head,
    a_tool,
    event,
    legacy_headers,
    modern,
    modern_headers,
    replies,
    request,
)
from tests.support.pins import accept

TOOLS = "notifications/tools/list_changed"
PROMPTS = "notifications/prompts/list_changed"
RESOURCES = "notifications/resources/list_changed"
ALL: JsonObject = {
    "toolsListChanged": True,
    "promptsListChanged": True,
    "resourcesListChanged": True,
}


@dataclass(slots=True)
class World:
    """Two tools, a prompt, a resource; what is in `hidden` policy shows nobody."""

    hidden: set[str] = field(default_factory=set)
    sidecar: Sidecar = field(init=False)
    asked: list[Ask] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sidecar = Sidecar(FakeUpstream(a_tool("echo"), a_tool("send")), verdict=self.verdict)
        answers = self.sidecar.upstream.answers
        answers["prompts/list"] = _lists("prompts", {"name": "greet"})
        answers["resources/list"] = _lists("resources", {"uri": "note://a", "name": "a"})
        answers["resources/templates/list"] = _lists(
            "resourceTemplates", {"uriTemplate": "note://{id}", "name": "t"}
        )
        self.sidecar.open_session("s-1")

    def verdict(self, ask: Ask) -> bool:
        if ask.phase is Phase.LIST:
            self.asked.append(ask)
        return ask.resource not in self.hidden

    def lists(self, *kinds: str, wire: str = "legacy") -> None:
        for kind in kinds or ("tools", "prompts", "resources", "resources/templates"):
            message = request(f"{kind}/list")
            if wire == "modern":
                assert self.sidecar.modern(message).status == 200
            else:
                assert self.sidecar.post(message, legacy_headers("s-1")).status == 200

    def listen(self, wanted: JsonObject = ALL, id_: Json = 9) -> Watcher:
        message = modern(request("subscriptions/listen", {"notifications": wanted}, id_))
        head = a_head(headers=modern_headers(message))
        inbound = self.sidecar.inbound(head, orjson.dumps(message), AGENT)
        return self.watched(self.sidecar.adapter.parse(inbound))

    def get(self) -> Watcher:
        head = a_head("GET", legacy_headers("s-1"))
        return self.watched(self.sidecar.adapter.parse(self.sidecar.inbound(head, None, AGENT)))

    def watched(self, conversation: Conversation) -> Watcher:
        head = ResponseHead(status=200, headers=(("content-type", "text/event-stream"),))
        return conversation.watch(head, self.sidecar.edits)

    def said(self, watcher: Watcher, chunk: bytes | None = None) -> list[JsonObject]:
        """What the stream says once it looks again, or takes `chunk`."""
        answered = Answered(status=200, headers={}, body=b"")
        news = news_of(watcher)
        assert news is not None
        steps = watcher.feed(chunk) if chunk is not None else news()
        self.sidecar._carry_out(steps, answered)
        return answered.messages

    def told(self, watcher: Watcher) -> list[Json]:
        return [message["method"] for message in self.said(watcher)]


def _lists(member: str, *items: JsonObject) -> Callable[[JsonObject], Reply]:
    def answer(message: JsonObject) -> Reply:
        return replies(
            {
                "jsonrpc": "2.0",
                "id": message["id"],
                "result": {member: [dict(item) for item in items], "resultType": "complete"},
            }
        )

    return answer


def _acknowledges(wanted: JsonObject, id_: Json = 9) -> bytes:
    return event(
        {
            "jsonrpc": "2.0",
            "method": "notifications/subscriptions/acknowledged",
            "params": {
                "notifications": wanted,
                "_meta": {"io.modelcontextprotocol/subscriptionId": id_},
            },
        }
    )


CHANGES = [
    pytest.param({"send"}, [TOOLS], id="a-tool"),
    pytest.param({"greet"}, [PROMPTS], id="a-prompt"),
    pytest.param({"note://a"}, [RESOURCES], id="a-resource"),
    pytest.param({"note://{id}"}, [RESOURCES], id="a-template"),
    pytest.param({"send", "greet"}, [PROMPTS, TOOLS], id="two-lists"),
    pytest.param({"other"}, [], id="what-it-never-saw"),
    pytest.param(set(), [], id="nothing"),
]


@pytest.mark.parametrize(("hidden", "expected"), CHANGES)
def test_a_legacy_stream_tells_of_the_lists_that_are_other_ones_now(
    hidden: set[str], expected: Sequence[str]
) -> None:
    world = World()
    world.lists()
    stream = world.get()
    assert world.told(stream) == []
    world.hidden |= hidden
    assert sorted(map(str, world.told(stream))) == sorted(expected)
    world.lists()
    assert world.told(stream) == []
    world.hidden.clear()
    assert sorted(map(str, world.told(stream))) == sorted(expected)


@pytest.mark.parametrize(("hidden", "expected"), CHANGES)
def test_a_modern_stream_tells_under_its_own_id(hidden: set[str], expected: Sequence[str]) -> None:
    world = World()
    world.lists(wire="modern")
    stream = world.listen()
    world.said(stream, _acknowledges(ALL))
    world.hidden |= hidden
    said = world.said(stream)
    assert sorted(str(message["method"]) for message in said) == sorted(expected)
    for message in said:
        meta = as_object(as_object(message["params"])["_meta"])
        assert meta == {"io.modelcontextprotocol/subscriptionId": 9}


@pytest.mark.parametrize(
    ("wanted", "acknowledged"),
    [
        pytest.param({"promptsListChanged": True}, ALL, id="not-asked-for"),
        pytest.param({**ALL, "toolsListChanged": False}, ALL, id="asked-not-to"),
        pytest.param(ALL, {"promptsListChanged": True}, id="not-agreed"),
    ],
)
def test_a_modern_stream_tells_only_what_was_asked_for_and_agreed(
    wanted: JsonObject, acknowledged: JsonObject
) -> None:
    world = World()
    world.lists(wire="modern")
    stream = world.listen(wanted)
    world.said(stream, _acknowledges(acknowledged))
    world.hidden |= {"send", "greet"}
    assert world.told(stream) == [PROMPTS]


def test_nothing_is_told_before_the_acknowledgement_and_nothing_is_lost() -> None:
    world = World()
    world.lists(wire="modern")
    stream = world.listen()
    world.hidden.add("send")
    assert world.told(stream) == []
    said = world.said(stream, _acknowledges(ALL))
    assert [message["method"] for message in said] == [
        "notifications/subscriptions/acknowledged",
        TOOLS,
    ]


def test_each_stream_of_a_caller_is_told() -> None:
    world = World()
    world.lists(wire="modern")
    streams = [world.listen(id_=id_) for id_ in (9, 10)]
    for id_, stream in zip((9, 10), streams, strict=True):
        world.said(stream, _acknowledges(ALL, id_))
    world.hidden.add("send")
    assert [world.told(stream) for stream in streams] == [[TOOLS], [TOOLS]]


def test_once_told_a_call_lists_first() -> None:
    world = World()
    world.lists()
    stream = world.get()
    world.hidden.add("echo")
    assert world.told(stream) == [TOOLS]
    before = len(world.sidecar.upstream.received)
    call = request("tools/call", {"name": "send", "arguments": {"text": "hi"}})
    assert world.sidecar.post(call, legacy_headers("s-1")).fault is None
    assert len(world.sidecar.upstream.received) == before + 2


def test_a_definition_that_is_accepted_or_withdrawn_is_news() -> None:
    world = World()
    world.lists()
    stream = world.get()
    world.sidecar.upstream.tools[0] = a_tool("echo", description="another")
    world.sidecar.modern(request("tools/list"))  # somebody else's listing finds it
    assert world.told(stream) == [TOOLS]
    world.lists()
    assert world.told(stream) == []
    accept(world.sidecar.pins, "crm", "echo")
    assert world.told(stream) == [TOOLS]


def test_where_pins_only_alert_a_changed_definition_is_no_news() -> None:
    world = World()
    world.sidecar.route = Sidecar(options=McpOptions(pinning="alert")).route
    world.lists()
    stream = world.get()
    world.sidecar.upstream.tools[0] = a_tool("echo", description="another")
    world.sidecar.modern(request("tools/list"))
    assert world.told(stream) == []


def test_what_a_caller_saw_and_nobody_remembers_may_be_anything() -> None:
    world = World()
    world.lists("tools")
    stream = world.get()
    world.sidecar.sessions._scopes._items.clear()
    assert sorted(map(str, world.told(stream))) == [PROMPTS, RESOURCES, TOOLS]


def test_a_long_list_is_judged_in_parts_and_no_further_than_needed() -> None:
    world = World()
    world.sidecar.upstream.tools[:] = [a_tool(f"t{number:04}") for number in range(900)]
    world.lists("tools")
    stream = world.get()
    world.asked.clear()
    assert world.told(stream) == []
    assert len(world.asked) == 900
    world.hidden.add("t0001")
    world.asked.clear()
    assert world.told(stream) == [TOOLS]
    assert len(world.asked) < 300


def test_the_answer_to_a_call_tells_of_no_lists() -> None:
    world = World()
    message = request("tools/call", {"name": "echo", "arguments": {"text": "hi"}})
    world.lists()
    head = a_head(headers=legacy_headers("s-1"))
    inbound = world.sidecar.inbound(head, orjson.dumps(message), AGENT)
    assert news_of(world.watched(world.sidecar.adapter.parse(inbound))) is None
