"""Mirrored fields: one spelling, read strictly."""

import pytest
from hypothesis import given, strategies as st

from outrider.core.errors import MalformedError
from outrider.core.jsonvalue import Json
from outrider.protocols.adapters.mcp.headers import (
    accepts_both,
    accepts_stream,
    check_params,
    decode,
    encode,
    media_type,
    mirrored_params,
)


@given(st.text())
def test_what_is_encoded_is_read_back(text: str) -> None:
    field = encode(text)
    assert decode(field) == text
    assert field.isascii()
    assert field.isprintable()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("echo", "echo"),
        ("a b", "a b"),
        (" a", "=?base64?IGE=?="),
        ("é", "=?base64?w6k=?="),
        ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
        ("=?BASE64?YQ==?=", "=?BASE64?YQ==?="),
    ],
    ids=["plain", "inner-space", "edge-space", "not-ascii", "looks-encoded", "other-case"],
)
def test_a_text_has_one_field(text: str, field: str) -> None:
    assert encode(text) == field


@pytest.mark.parametrize(
    "field",
    ["=?base64?YQ?=", "=?base64?YR==?=", "=?base64?Y Q==?=", "=?base64?/w==?=", "=?base64?-_==?="],
    ids=["padding", "stray-bits", "space", "not-utf-8", "url-alphabet"],
)
def test_case_23_a_bad_sentinel_is_refused(field: str) -> None:
    with pytest.raises(MalformedError) as refused:
        decode(field)
    assert refused.value.code == -32020


@pytest.mark.parametrize(
    ("accept", "both", "stream"),
    [
        ("application/json, text/event-stream", True, True),
        ("text/event-stream;q=0.5,APPLICATION/JSON", True, True),
        ("application/*, text/*", True, True),
        ("*/*", True, True),
        ("text/event-stream", False, True),
        ("application/json, text/event-stream;q=0.000", False, False),
        ("application/json", False, False),
        ("", False, False),
    ],
)
def test_accept_is_read_by_media_range(accept: str, both: bool, stream: bool) -> None:
    assert (accepts_both(accept), accepts_stream(accept)) == (both, stream)


def test_media_types_keep_their_parameters_apart() -> None:
    assert media_type("Application/JSON ; charset=UTF-8") == ("application/json", True)
    assert media_type("application/json; charset=latin-1") == ("application/json", False)
    assert media_type("application/json;charset=utf-8;charset=utf-8")[1] is False


def test_annotations_are_found_along_properties_alone() -> None:
    inner: Json = {"type": "object", "properties": {"b": {"type": "integer", "x-mcp-header": "B"}}}
    assert mirrored_params({"properties": {"a": inner}}) == {"mcp-param-b": (("a", "b"), "integer")}
    assert mirrored_params({"properties": {"a": {"oneOf": [inner]}}}) is None
    assert mirrored_params({"$defs": {"a": {"x-mcp-header": "B"}}}) is None
    assert mirrored_params({"properties": {"a": {"const": {"x-mcp-header": 1}}}}) == {}
    assert mirrored_params(None) == {}


@pytest.mark.parametrize(
    ("sent", "value", "same"),
    [
        ("1", 1, True),
        ("1.00", 1, True),
        ("01", 1, False),
        ("+1", 1, False),
        ("1e0", 1, False),
        ("9007199254740991", 9007199254740991, True),
        ("TRUE", True, False),
        ("true", "true", True),
        ("1", [1], False),
    ],
)
def test_a_mirrored_value_says_what_the_body_says(sent: str, value: Json, same: bool) -> None:
    wanted = {"mcp-param-a": (("a",), "integer")}
    if same:
        assert check_params({"mcp-param-a": sent}, wanted, {"a": value})
        return
    with pytest.raises(MalformedError):
        check_params({"mcp-param-a": sent}, wanted, {"a": value})
