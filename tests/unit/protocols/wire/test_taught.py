"""A plain answer is learnt before it leaves, and leaves as it came."""

from typing import Any

import pytest

from outrider.core.errors import ObligationError, TooLargeError
from outrider.core.ports import Emit, Judge, Learn, Step, Watcher
from outrider.core.strict_json import JsonLimits
from outrider.protocols.wire.taught import HELD_BYTES, OVERLAP, HeldJson, taught
from tests.support.builders import a_response_head

JSON = "application/json"


def watcher(kind: str | None = JSON, **changes: Any) -> Watcher:
    headers = () if kind is None else (("content-type", kind),)
    headers += changes.pop("headers", ())
    given: dict[str, Any] = {"judged": True, "limit_bytes": 8 << 20, "limits": JsonLimits()}
    return taught(a_response_head(headers=headers), **given | changes)


def done(steps: list[Step]) -> list[Step]:
    """`steps` with the turns of the loop taken."""
    found: list[Step] = []
    for step in steps:
        if isinstance(step, Judge):
            found += done(step.then(()))
        else:
            found.append(step)
    return found


def passed(one: Watcher, *chunks: bytes) -> tuple[list[Learn], bytes]:
    """What was learnt of an answer, and what left; nothing leaves before it was learnt."""
    learnt: list[Learn] = []
    out = b""
    for steps in (*(one.feed(chunk) for chunk in chunks), one.end()):
        for step in done(steps):
            if isinstance(step, Learn):
                learnt.append(step)
            elif isinstance(step, Emit):
                assert learnt, "left before it was learnt"
                out += step.data
    return learnt, out


@pytest.mark.parametrize(
    ("kind", "chunks", "learnt"),
    [
        pytest.param(JSON, [b'{"a":', b' "b"}'], [Learn(value={"a": "b"})], id="json"),
        pytest.param(JSON, [b'{"a":1,"a":2}'], [Learn(texts=('{"a":1,"a":2}',))], id="odd-json"),
        pytest.param("text/html", [b"<p>hi"], [Learn(texts=("<p>hi",))], id="text"),
        pytest.param("application/hal+json", [b"{}"], [Learn(texts=("{}",))], id="other-json"),
        pytest.param(None, [b"plain"], [Learn(texts=("plain",))], id="no-type"),
        pytest.param("text/plain", [b"\xff\xfe"], [Learn(texts=("\ufffd\ufffd",))], id="odd"),
        pytest.param("image/png", [b"1", b"2"], [Learn(whole=False)], id="picture"),
        pytest.param("application/pdf", [b"%PDF"], [Learn(whole=False)], id="document"),
        pytest.param(";", [b"x"], [Learn(whole=False)], id="odd-type"),
    ],
)
def test_what_an_answer_holds_is_learnt(
    kind: str | None, chunks: list[bytes], learnt: list[Learn]
) -> None:
    found, out = passed(watcher(kind), *chunks)
    assert found == learnt
    assert out == b"".join(chunks)


@pytest.mark.parametrize("kind", [JSON, "text/plain", "image/png"])
def test_an_answer_without_a_byte_teaches_nothing(kind: str) -> None:
    assert passed(watcher(kind)) == ([], b"")


def test_a_body_nobody_may_read_is_only_known_to_have_been() -> None:
    assert passed(watcher(judged=False), b"{}") == ([Learn(whole=False)], b"{}")


def test_a_coded_body_is_not_read() -> None:
    coded = watcher(headers=(("content-encoding", "br"),))
    assert passed(coded, b"{}") == ([Learn(whole=False)], b"{}")


def test_a_value_across_two_pieces_of_a_text_is_learnt_whole() -> None:
    one = watcher("text/plain")
    value = b"mallory@evil.example"
    learnt, _ = passed(one, b"x" * 9000 + value[:7], value[7:] + b" end")
    assert value.decode() in learnt[1].texts[0]
    assert len(learnt[1].texts[0]) <= OVERLAP + 20


def test_a_character_across_two_pieces_is_one() -> None:
    learnt, out = passed(watcher("text/plain"), b"caf\xc3", b"\xa9")
    assert learnt[1].texts[0].endswith("caf\u00e9")
    assert out == b"caf\xc3\xa9"


@pytest.mark.parametrize("size", [HELD_BYTES, HELD_BYTES + 1])
def test_json_is_held_back_only_so_far(size: int) -> None:
    body = b'"' + b"x" * (size - 2) + b'"'
    learnt, out = passed(watcher(), body[: size // 2], body[size // 2 :])
    assert out == body
    assert learnt[0].whole is (size <= HELD_BYTES)
    assert (learnt[0].value is not None) is (size <= HELD_BYTES)


def test_the_rest_of_a_long_answer_passes_as_it_comes() -> None:
    one = watcher()
    first = b"[" + b"1," * (HELD_BYTES // 2)
    assert isinstance(one.feed(first)[-1], Emit)
    assert one.feed(b"1]") == [Emit(data=b"1]")]
    assert one.end() == []


@pytest.mark.parametrize("kind", [JSON, "text/plain", "image/png"])
def test_an_answer_over_the_limit_is_cut(kind: str) -> None:
    with pytest.raises(TooLargeError):
        watcher(kind, limit_bytes=10).feed(b"x" * 11)
    with pytest.raises(TooLargeError):
        watcher(kind, limit_bytes=10, headers=(("content-length", "11"),))


def test_a_short_answer_leaves_in_one_piece_and_any_other_as_it_comes() -> None:
    assert not watcher(headers=(("content-length", "20"),)).streaming
    assert watcher().streaming
    assert isinstance(watcher(), HeldJson)


@pytest.mark.parametrize(
    ("body", "counted"),
    [
        pytest.param(b'{"rows":[1,2]}', True, id="as-many-as-allowed"),
        pytest.param(b'{"rows":[1,2,3]}', False, id="one-more"),
        pytest.param(b'{"a":{"rows":[[1],[1,2,3]]}}', False, id="further-down"),
        pytest.param(b'{"rows":', False, id="cannot-be-counted"),
        pytest.param(b"[" + b"1," * HELD_BYTES, False, id="too-long-to-count"),
    ],
)
def test_records_are_counted_before_one_leaves(body: bytes, counted: bool) -> None:
    one = watcher(records=2)
    if counted:
        assert passed(one, body)[1] == body
        return
    with pytest.raises(ObligationError):
        passed(one, body)


def test_records_are_counted_in_json_alone() -> None:
    with pytest.raises(ObligationError):
        watcher("text/csv", records=2)


def test_a_guarded_answer_is_held_until_it_is_read_however_long() -> None:
    long = b'{"v":"' + b"x" * HELD_BYTES + b'"}'
    one = watcher(guarded=True)
    assert not one.streaming
    learnt, out = passed(one, long[:9], long[9:])
    assert (learnt[0].value, out) == ({"v": "x" * HELD_BYTES}, long)


def test_a_guarded_answer_of_a_json_type_of_its_own_is_read_too() -> None:
    learnt, _ = passed(watcher("application/hal+json", guarded=True), b'{"v":1}')
    assert learnt == [Learn(value={"v": 1})]


@pytest.mark.parametrize("data", [b'{"a":1,"a":2}', b"v,w", b'{"a"'], ids=["twice", "csv", "cut"])
def test_nothing_of_a_guarded_answer_leaves_that_cannot_be_read(data: bytes) -> None:
    one = watcher(guarded=True)
    assert one.feed(data) == []
    with pytest.raises(ObligationError):
        one.end()


def test_what_an_error_says_is_no_field_of_the_answer() -> None:
    head = a_response_head(status=404, headers=(("content-type", JSON),))
    one = taught(head, judged=True, limit_bytes=8 << 20, limits=JsonLimits(), guarded=True)
    assert passed(one, b'{"v":1}')[0] == [Learn(value={"v": 1}, failed=True)]
