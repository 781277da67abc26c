"""JSON-RPC messages: what is one, and what is refused as none."""

import pytest

from outrider.core.errors import MalformedError
from outrider.core.jsonvalue import Json, JsonObject
from outrider.protocols.wire.jsonrpc import (
    Kind,
    encode,
    error_object,
    id_of,
    is_id,
    read_message,
    refuse_lookalikes,
    result_object,
)


@pytest.mark.parametrize(
    ("value", "kind", "id_"),
    [
        ({"jsonrpc": "2.0", "id": 1, "method": "m"}, Kind.REQUEST, 1),
        ({"jsonrpc": "2.0", "id": "1", "method": "m", "params": {}}, Kind.REQUEST, "1"),
        ({"jsonrpc": "2.0", "method": "m"}, Kind.NOTIFICATION, None),
        ({"jsonrpc": "2.0", "id": 1, "result": None}, Kind.RESPONSE, 1),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": ""}}, Kind.RESPONSE, 1),
        ({"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": ""}}, Kind.RESPONSE, None),
    ],
)
def test_a_message_is_read_by_its_members(value: Json, kind: Kind, id_: Json) -> None:
    message = read_message(value)
    assert (message.kind, message.id) == (kind, id_)


@pytest.mark.parametrize(
    "value",
    [
        [],
        None,
        {},
        {"jsonrpc": "2.0"},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": 1, "result": 1, "error": {"code": 1, "message": ""}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": True, "message": ""}},
        {"jsonrpc": "2.0", "id": 1, "error": "x"},
        {"jsonrpc": "2.0", "id": None, "result": 1},
        {"jsonrpc": "2.0", "id": 1, "method": ""},
        {"jsonrpc": "2.0", "id": 1, "method": 7},
        {"jsonrpc": "2.0", "id": 1, "method": "m" * 257},
        {"jsonrpc": "2.0", "method": "m", "result": 1},
        {"jsonrpc": "2.0", "id": 1, "method": "m", "result": 1},
        {"jsonrpc": "2.0", "id": None, "method": "m"},
        {"jsonrpc": "2.0", "id": 1.5, "method": "m"},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": 1}},
    ],
)
def test_anything_else_is_an_invalid_request(value: Json) -> None:
    with pytest.raises(MalformedError) as refused:
        read_message(value)
    assert refused.value.code == -32600


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        (0, True),
        (-(2**53) + 1, True),
        (2**53, False),
        (True, False),
        (1.0, False),
        (None, False),
        ("x" * 256, True),
        ("x" * 257, False),
        ("é" * 129, False),
    ],
)
def test_ids_are_short_text_or_safe_integers(value: Json, fits: bool) -> None:
    assert is_id(value) is fits
    assert id_of({"id": value}) == (value if fits else None)


@pytest.mark.parametrize("value", [None, 7, "id", [{"id": 1}]], ids=repr)
def test_what_is_no_object_has_no_id(value: Json) -> None:
    assert id_of(value) is None


def test_a_key_that_resembles_one_of_ours_is_refused() -> None:
    names = frozenset({"name", "arguments"})
    refuse_lookalikes({"name": 1, "vendor": 2}, names, "params")
    for key in ("Name", "argument\u017f", "\uff4eame"):
        with pytest.raises(MalformedError):
            refuse_lookalikes({key: 1}, names, "params")


def test_what_we_write() -> None:
    data: JsonObject = {"a": 1}
    assert encode(error_object(None, -1, "m", None)) == (
        b'{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"m"}}'
    )
    assert "id" not in error_object(None, -1, "m", data, with_id=False)
    assert result_object("1", data) == {"jsonrpc": "2.0", "id": "1", "result": {"a": 1}}
