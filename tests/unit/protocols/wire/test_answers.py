from typing import Any

import orjson
import pytest

from outrider.core.errors import (
    EnforcementError,
    ObligationError,
    TooLargeError,
    UpstreamFailedError,
)
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.obligation import RedactObligation
from outrider.core.ports import Emit, Judge, Learn, Note, Step
from outrider.core.strict_json import JsonLimits
from outrider.core.vocabulary import Reason
from outrider.protocols.wire.answers import (
    BufferedJson,
    PassThrough,
    announced_bytes,
    check_location,
    homeward,
    redacted,
)
from tests.support.builders import a_response_head

JSON = ("content-type", "application/json")


def buffered(*pointers: str, limit_bytes: int = 1000, **head: Any) -> BufferedJson:
    redactions = tuple(RedactObligation(pointer=pointer) for pointer in pointers)
    return BufferedJson(a_response_head(**head), redactions, limit_bytes, JsonLimits())


def test_a_redacted_answer_leaves_only_whole_and_without_what_spoke_of_its_bytes() -> None:
    watcher = buffered(
        "/ssn",
        "/rows/1/x",
        "/absent",
        headers=(JSON, ("content-length", "50"), ("etag", '"x"'), ("x-a", "1")),
    )
    assert not watcher.streaming
    assert watcher.feed(b'{"ssn":"123","rows":[{"x":1},') == []
    assert watcher.feed(b'{"x":2}]}') == []
    *notes, learn, emit = watcher.end()
    assert isinstance(learn, Learn)
    assert learn.value == {"ssn": "[redacted]", "rows": [{"x": 1}, {"x": "[redacted]"}]}
    assert notes == [
        Note(event="redacted", facts={"pointer": "/ssn"}),
        Note(event="redacted", facts={"pointer": "/rows/1/x"}),
    ]
    assert isinstance(emit, Emit)
    assert orjson.loads(emit.data) == {"ssn": "[redacted]", "rows": [{"x": 1}, {"x": "[redacted]"}]}
    assert watcher.head().headers == (JSON, ("x-a", "1"))


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("content-type", "text/html"),),
        (JSON, ("content-encoding", "gzip")),
        (("content-type", "application/json; charset=utf-16"),),
    ],
    ids=["no-type", "html", "coded", "utf-16"],
)
def test_what_cannot_be_redacted_is_not_let_through(headers: Any) -> None:
    with pytest.raises(ObligationError):
        buffered("/x", headers=headers)


@pytest.mark.parametrize("data", [b"", b"{", b'{"a":1,"a":2}', b"[" * 100 + b"]" * 100])
def test_an_answer_to_redact_that_cannot_be_read_is_cut(data: bytes) -> None:
    watcher = buffered("/a")
    watcher.feed(data)
    with pytest.raises(UpstreamFailedError):
        watcher.end()


def test_an_answer_to_redact_is_bounded() -> None:
    watcher = buffered("/a", limit_bytes=10)
    watcher.feed(b"x" * 10)
    with pytest.raises(TooLargeError) as refused:
        watcher.feed(b"x")
    assert (refused.value.cause, refused.value.status) == ("answer", 502)


@pytest.mark.parametrize(
    ("pointer", "expected", "done"),
    [
        ("", "*", True),
        ("/a", {"a": "*", "b/c": {"d": [1, 2]}}, True),
        ("/b~1c/d/1", {"a": 1, "b/c": {"d": [1, "*"]}}, True),
        ("/b~1c/d/2", {"a": 1, "b/c": {"d": [1, 2]}}, False),
        ("/b~1c/d/01", {"a": 1, "b/c": {"d": [1, 2]}}, False),
        ("/b~1c/d/9/x", {"a": 1, "b/c": {"d": [1, 2]}}, False),
        ("/b~1c/d/0/x", {"a": 1, "b/c": {"d": [1, 2]}}, False),
        ("/a/x", {"a": 1, "b/c": {"d": [1, 2]}}, False),
        ("/z/x", {"a": 1, "b/c": {"d": [1, 2]}}, False),
    ],
)
def test_a_pointer_is_replaced_where_it_leads(pointer: str, expected: Any, done: bool) -> None:
    assert redacted({"a": 1, "b/c": {"d": [1, 2]}}, pointer, "*") == (expected, done)


def test_an_answer_passes_as_it_came_and_is_cut_at_its_bound() -> None:
    watcher = PassThrough(a_response_head(headers=(JSON, ("etag", "x"))), 10, empty=False)
    assert watcher.streaming
    assert watcher.head().headers == (JSON, ("etag", "x"))
    assert watcher.feed(b"x" * 10) == [Emit(data=b"x" * 10)]
    with pytest.raises(TooLargeError):
        watcher.feed(b"y")
    assert watcher.end() == []


def test_an_announced_answer_is_refused_before_it_begins_or_leaves_in_one_piece() -> None:
    head = a_response_head(headers=(("content-length", "11"),))
    with pytest.raises(TooLargeError):
        PassThrough(head, 10, empty=False)
    small = PassThrough(head, 11, empty=False)
    assert (small.streaming, small.head().headers) == (False, ())
    large = a_response_head(headers=(("content-length", "65537"),))
    assert PassThrough(large, 1 << 20, empty=False).streaming


def test_an_answer_without_body_keeps_the_length_it_speaks_of() -> None:
    head = a_response_head(headers=(("content-length", "99999999"),))
    watcher = PassThrough(head, 10, empty=True)
    assert (watcher.streaming, watcher.head()) == (False, head)


@pytest.mark.parametrize(
    ("value", "expected"), [("5", 5), ("x", None), ("-1", None), ("9" * 19, None), ("٣", None)]
)
def test_an_announced_length_is_digits(value: str, expected: int | None) -> None:
    assert announced_bytes(a_response_head(headers=(("content-length", value),))) == expected
    assert announced_bytes(a_response_head(headers=())) is None


@pytest.mark.parametrize(
    ("location", "stays"),
    [
        ("/people/7", True),
        ("people/7?next=https://evil.example/", True),
        ("?page=2", True),
        ("https://people.internal/people/7", True),
        ("HTTPS://PEOPLE.internal:443/people/7", True),
        ("//people.internal:443/x", True),
        ("http://people.internal/x", False),
        ("//people.internal/x", False),
        ("https://evil.example/", False),
        ("//evil.example/", False),
        ("/\\evil.example", False),
        ("\\\\evil.example", False),
        ("https:evil.example", False),
        ("javascript:alert(1)", False),
        ("https://people.internal@evil.example/", False),
        ("https://people.internal.evil.example/", False),
        ("https://[::1]/", False),
    ],
)
def test_a_location_stays_at_its_origin(location: str, stays: bool) -> None:
    head = a_response_head(201, headers=(("location", location),))
    if stays:
        check_location(head, "people.internal:443")
        return
    for authority in ("people.internal:443", None):
        with pytest.raises(EnforcementError) as refused:
            check_location(head, authority)
        assert refused.value.reason is Reason.UPSTREAM_IDENTITY


PLACED = [
    pytest.param("/v1/people/7", "/api/people/7", id="path"),
    pytest.param("https://people.internal/v1/people/7", "/api/people/7", id="absolute"),
    pytest.param("HTTPS://PEOPLE.internal:443/v1/x?a=/b#c", "/api/x?a=/b#c", id="with-port"),
    pytest.param("//people.internal:443/v1/x", "/api/x", id="without-scheme"),
    pytest.param("/v1", "/api", id="base-itself"),
    pytest.param("/v1/", "/api/", id="base-as-folder"),
    pytest.param("/v1?page=2", "/api?page=2", id="base-with-query"),
]
KEPT = [
    pytest.param("/v10/x", id="beside-the-base"),
    pytest.param("/other/x", id="outside-the-base"),
    pytest.param("https://people.internal", id="above-the-base"),
    pytest.param("/v1/../admin", id="dots"),
    pytest.param("/v1/%2E%2e/admin", id="encoded-dots"),
    pytest.param("/v1//evil.example/", id="double-slash"),
    pytest.param("//people.internal:443/v1//evil.example/", id="double-slash-absolute"),
    pytest.param("/v1/\\evil.example", id="backslash"),
    pytest.param("/v1/x?\\", id="backslash-in-query"),
    pytest.param("/v1/\t/evil.example", id="tab"),
    pytest.param("/v1/a b", id="space"),
    pytest.param("people/7", id="relative"),
    pytest.param("?page=2", id="query"),
    pytest.param("#x", id="fragment"),
    pytest.param("", id="empty"),
    pytest.param("https://evil.example/v1/x", id="another-host"),
    pytest.param("http://people.internal/v1/x", id="another-port"),
    pytest.param("https://people.internal@evil.example/v1/x", id="user"),
    pytest.param("https:people", id="scheme-alone"),
]


@pytest.mark.parametrize("name", ["location", "content-location"])
@pytest.mark.parametrize(("value", "placed"), PLACED)
def test_a_place_of_the_upstream_is_told_where_the_agent_reaches_it(
    name: str, value: str, placed: str
) -> None:
    head = a_response_head(201, headers=((name, value), ("etag", value)))
    told = homeward(head, "people.internal:443", "/v1", "/api")
    assert (told.header(name), told.header("etag"), told.status) == (placed, value, 201)
    for authority in ("evil.example:443", None):
        told = homeward(head, authority, "/v1", "/api")
        assert told.header(name) == (placed if value.startswith("/v1") else value)


@pytest.mark.parametrize("value", KEPT)
def test_a_place_that_cannot_be_told_exactly_stays_as_it_is(value: str) -> None:
    head = a_response_head(302, headers=(("location", value),))
    assert homeward(head, "people.internal:443", "/v1", "/api") == head


@pytest.mark.parametrize(
    ("value", "placed"),
    [
        pytest.param("https://people.internal/x", "/x", id="absolute"),
        pytest.param("https://people.internal", "/", id="origin-alone"),
        pytest.param("https://people.internal?a", "/?a", id="query-alone"),
        pytest.param("https://people.internal//evil.example/", None, id="double-slash"),
        pytest.param("/x", "/x", id="path"),
    ],
)
def test_a_route_by_host_keeps_what_it_has(value: str, placed: str | None) -> None:
    head = a_response_head(302, headers=(("location", value),))
    told = homeward(head, "people.internal:443", "", "")
    assert told.header("location") == (placed or value)


def test_most_answers_have_no_location() -> None:
    head = a_response_head()
    assert homeward(head, "people.internal:443", "", "/api") is head
    check_location(a_response_head(), None)


def _whole(steps: list[Step]) -> tuple[bytes, int]:
    """The bytes that leave, and how often the loop had its turn."""
    out, turns = b"", 0
    for step in steps:
        if isinstance(step, Judge):
            data, more = _whole(step.then(()))
            out, turns = out + data, turns + 1 + more
        elif isinstance(step, Emit):
            out += step.data
    return out, turns


def test_a_large_answer_is_redacted_in_turns() -> None:
    rows: list[Json] = [{"id": number} for number in range(4000)]
    value: JsonObject = {"ssn": "1", "text": "x" * 500_000, "rows": rows}
    watcher = buffered("/ssn", limit_bytes=1 << 20, headers=(JSON,))
    assert watcher.feed(orjson.dumps(value)) == []
    data, turns = _whole(watcher.end())
    assert orjson.loads(data) == {**value, "ssn": "[redacted]"}
    assert turns >= 8


def test_a_large_answer_that_cannot_be_read_is_refused() -> None:
    watcher = buffered("/ssn", limit_bytes=1 << 20, headers=(JSON,))
    watcher.feed(b'{"a":"' + b"x" * 100_000 + b'","a":1}')
    with pytest.raises(UpstreamFailedError) as refused:
        _whole(watcher.end())
    assert refused.value.cause == "duplicate_key"
