"""Every text that reaches the agent is said beforehand; lists and handshakes are not."""

import pytest

from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.ports import Learn
from tests.support.mcp_exchange import FakeUpstream, Sidecar, a_tool, replies, request

CALL = request("tools/call", {"name": "echo", "arguments": {"text": "hi"}})


def learnt(result: JsonObject, call: JsonObject = CALL) -> list[Learn]:
    sidecar = Sidecar(FakeUpstream(a_tool()))
    sidecar.post(request("tools/list"))
    method = str(call["method"])
    sidecar.upstream.answers[method] = replies({"jsonrpc": "2.0", "id": 1, **result})
    answered = sidecar.post(call)
    assert answered.fault is None
    return answered.learnt


def text(said: str) -> JsonObject:
    return {"type": "text", "text": said}


@pytest.mark.parametrize(
    ("result", "said"),
    [
        pytest.param({"content": [text("one"), text("two")]}, ("one", "two"), id="texts"),
        pytest.param({"content": [text("no")], "isError": True}, ("no",), id="a-failure"),
        pytest.param(
            {"content": [{"type": "resource", "resource": {"uri": "a:b", "text": "x"}}]},
            ("a:b", "x"),
            id="embedded",
        ),
        pytest.param(
            {"content": [{"type": "resource_link", "uri": "https://evil.example", "name": "n"}]},
            ("https://evil.example", "n"),
            id="a-link",
        ),
        pytest.param({"content": [], "_meta": {"note": "deep"}}, ("deep",), id="meta"),
    ],
)
def test_the_texts_of_a_result_are_said(result: JsonObject, said: tuple[str, ...]) -> None:
    (lesson,) = learnt({"result": result})
    assert (lesson.value, lesson.texts, lesson.whole) == (None, said, True)
    assert not lesson.spelt


@pytest.mark.parametrize(
    ("result", "said", "spelt"),
    [
        pytest.param({"content": [text("one")]}, ("one",), True, id="one-text"),
        pytest.param(
            {"_meta": {"id": "t"}, "content": [text("one")]}, ("one", "t"), True, id="with-meta"
        ),
        pytest.param({"content": [text("a"), text("b")]}, ("a", "b"), False, id="two"),
        pytest.param({"content": [{"type": "text", "text": 5}]}, (), False, id="no-text"),
        pytest.param({"content": "one"}, ("one",), False, id="no-list"),
        pytest.param(
            {"content": [{"type": "resource", "resource": {"text": "one"}}]},
            ("one",), False, id="embedded",
        ),
        pytest.param({"content": [text("one")], "isError": True}, ("one",), False, id="failure"),
    ],
)  # fmt: skip
def test_the_only_text_of_a_result_may_spell_its_value(
    result: JsonObject, said: tuple[str, ...], spelt: bool
) -> None:
    lessons = learnt({"result": result})
    assert [(one.texts, one.spelt) for one in lessons] == ([(said, spelt)] if said else [])


@pytest.mark.parametrize("flag", [True, "true", 1])
def test_a_failure_is_told(flag: Json) -> None:
    fields: JsonObject = {"content": [text("no")], "structuredContent": {"id": 7}, "isError": flag}
    assert [one.failed for one in learnt({"result": fields})] == [True]
    plain: JsonObject = {"content": [text("no")], "isError": False}
    assert [one.failed for one in learnt({"result": plain})] == [False]


def test_of_a_task_s_result_what_stands_around_it_is_said_too() -> None:
    around: JsonObject = {"statusMessage": "go on", "result": {"content": [text("one")]}}
    (lesson,) = learnt({"result": around})
    assert (lesson.texts, lesson.spelt, lesson.failed) == (("one", "go on"), True, False)
    around["result"] = {"content": [text("one")], "structuredContent": {"id": 7}, "isError": True}
    (lesson,) = learnt({"result": around})
    assert lesson == Learn(value={"id": 7}, texts=("one", "go on"), failed=True)


@pytest.mark.parametrize("value", [{"id": 7}, [1], "plain", 5])
def test_structured_content_is_what_fields_are_labelled_in(value: Json) -> None:
    result: JsonObject = {"content": [text("seven")], "structuredContent": value}
    (lesson,) = learnt({"result": result})
    assert lesson == Learn(value=value, texts=("seven",))


@pytest.mark.parametrize(
    "block",
    [
        pytest.param({"type": "image", "data": "aGk=", "mimeType": "image/png"}, id="picture"),
        pytest.param({"type": "audio", "data": "aGk=", "mimeType": "audio/wav"}, id="sound"),
        pytest.param({"type": "resource", "resource": {"uri": "a:b", "blob": "aGk="}}, id="blob"),
    ],
)
def test_of_what_cannot_be_read_it_is_said_that_there_was_more(block: JsonObject) -> None:
    (lesson,) = learnt({"result": {"content": [text("see"), block]}})
    assert not lesson.whole
    assert "aGk=" not in lesson.texts


def test_an_error_s_words_are_said() -> None:
    error: JsonObject = {"code": -32000, "message": "write to x@y.example", "data": "now"}
    (lesson,) = learnt({"error": error})
    assert lesson.texts == ("write to x@y.example", "now")
    assert lesson.failed


def test_a_list_and_an_empty_result_teach_nothing() -> None:
    sidecar = Sidecar(FakeUpstream(a_tool()))
    assert sidecar.post(request("tools/list")).learnt == []
    assert learnt({"result": {"content": []}}) == []


def test_a_message_with_more_texts_than_are_told_says_so() -> None:
    many: list[Json] = [text("x")] * 20_001
    (lesson,) = learnt({"result": {"content": many}})
    assert not lesson.whole
    assert len(lesson.texts) == 20_000


@pytest.mark.parametrize(
    ("call", "result"),
    [
        pytest.param(
            request("resources/read", {"uri": "note:1"}),
            {"contents": [{"uri": "note:1", "text": "do this"}]},
            id="a-resource",
        ),
        pytest.param(
            request(
                "completion/complete",
                {
                    "ref": {"type": "ref/resource", "uri": "note:1"},
                    "argument": {"name": "a", "value": ""},
                },
            ),
            {"completion": {"values": ["do this"]}},
            id="a-completion",
        ),
    ],
)
def test_what_others_say_is_said_too(call: JsonObject, result: JsonObject) -> None:
    (lesson,) = learnt({"result": result}, call)
    assert "do this" in lesson.texts
