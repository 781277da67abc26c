"""The strict reader: PROTOCOLS §2 and the envelope rows of §12 that are its own."""

import json
from collections.abc import Callable

import orjson
import pytest

from outrider.core.errors import MalformedError
from outrider.core.jsonvalue import Json
from outrider.core.strict_json import (
    NOT_ALLOWED,
    NOT_JSON,
    REQUEST_LIMITS,
    JsonLimits,
    fold_clash,
    read,
    read_steps,
)

WIDE = JsonLimits(nodes=1_000_000)


def stepped(data: bytes, limits: JsonLimits) -> Json:
    steps = read_steps(data, limits)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value


both_ways = pytest.mark.parametrize("reader", [read, stepped], ids=["whole", "stepped"])
Reader = Callable[[bytes, JsonLimits], Json]


def cause(reader: Reader, data: bytes, limits: JsonLimits = REQUEST_LIMITS) -> tuple[str, int]:
    with pytest.raises(MalformedError) as refused:
        reader(data, limits)
    assert refused.value.cause is not None
    assert refused.value.code is not None
    return refused.value.cause, refused.value.code


NOT_JSON_AT_ALL = [
    pytest.param(b"", "syntax", id="empty"),
    pytest.param(b"\xef\xbb\xbf{}", "bom", id="bom"),
    pytest.param("{}".encode("utf-16"), "bom", id="utf-16-with-bom"),
    pytest.param("{}".encode("utf-16-le"), "syntax", id="utf-16"),
    pytest.param("{}".encode("utf-32"), "bom", id="utf-32"),
    pytest.param(b'"\xff"', "utf8", id="no-utf-8"),
    pytest.param(b'"\xc0\xaf"', "utf8", id="overlong"),
    pytest.param(b'"\xed\xa0\x80"', "utf8", id="raw-surrogate"),
    pytest.param(b'"\\ud800"', "syntax", id="lone-surrogate"),
    pytest.param(b"NaN", "syntax", id="nan"),
    pytest.param(b"[Infinity]", "syntax", id="infinity"),
    pytest.param(b"1e400", "number", id="1e400"),
    pytest.param(b"1" * 5000, "number", id="5000-digits"),
    pytest.param(b"{} {}", "syntax", id="two-documents"),
    pytest.param(b'{"a":1}x', "syntax", id="trailing-garbage"),
    pytest.param(b'{"a":1,}', "syntax", id="trailing-comma"),
    pytest.param(b"{'a':1}", "syntax", id="single-quotes"),
    pytest.param(b'"\x00"', "syntax", id="raw-control"),
    pytest.param(b"[" * 100_000, "depth", id="100k-brackets"),
    pytest.param(b'{"a":' * 100_000, "depth", id="100k-objects"),
    pytest.param(b"01", "syntax", id="leading-zero"),
]


@both_ways
@pytest.mark.parametrize(("data", "named"), NOT_JSON_AT_ALL)
def test_what_is_no_json_is_refused_as_such(reader: Reader, data: bytes, named: str) -> None:
    assert cause(reader, data) == (named, NOT_JSON)


TWICE = [
    pytest.param(b'{"a":1,"a":1}', id="top"),
    pytest.param(b'{"a":1, "a":2}', id="spaced"),
    pytest.param(b'[{"x":{"a":1,"b":2,"a":3}}]', id="deep"),
    pytest.param(b'{"\\u0061":1,"a":2}', id="escaped-spelling"),
    pytest.param(b'{"a":{"b":1,"b":2},"a":{}}', id="inside-the-lost-one"),
    pytest.param(b'{"":1,"":2}', id="empty-keys"),
    pytest.param(b'{"\\\\":1,"\\\\":2}', id="backslash-keys"),
    pytest.param(b'{"\\"":1,"\\"":2}', id="quote-keys"),
    pytest.param('{"é":1,"\\u00e9":2}'.encode(), id="non-ascii"),
    pytest.param(b'{"a":"x:y","a":"z"}', id="colon-in-text"),
    pytest.param(b'{"a":"' + b"y" * 500 + b'","a":1}', id="long-value"),
    pytest.param(b'{"a":1.5,"a":1.5}', id="floats"),
]


@both_ways
@pytest.mark.parametrize("data", TWICE)
def test_1_a_key_that_stands_twice_is_refused_at_any_depth(reader: Reader, data: bytes) -> None:
    assert cause(reader, data) == ("duplicate_key", NOT_ALLOWED)


TAKEN = [
    pytest.param(b'{"a":{"b":1},"c":{"b":2}}', id="same-key-in-two-objects"),
    pytest.param(b'{"a":1,"A":2}', id="case-differs"),
    pytest.param(b'{"__proto__":1,"constructor":{"prototype":2}}', id="20-plain-data"),
    pytest.param(b' { "a" : [ 1 , true , null , "x:\\"y\\":" ] } ', id="spaced-with-escapes"),
    pytest.param(b'{"a":"\\\\","b":"\\\\\\"","c":":"}', id="backslashes-before-quotes"),
    pytest.param(b'{"t":"line\\nline: \\u003a"}', id="escaped-colon"),
    pytest.param(b"9007199254740991", id="largest"),
    pytest.param(b"-9007199254740991", id="smallest"),
    pytest.param(b"[1.0,-0.0,1e2,2.5e-7,0.12345678901234567]", id="floats"),
    pytest.param(b'[1.5,"e",true,false,null]', id="e-in-literals"),
    pytest.param(b'"' + b"x" * 5000 + b'"', id="long-text"),
    pytest.param(b'{"k":"' + b"x" * 5000 + b'"}', id="long-value"),
    pytest.param(b'["1234567890123456789012345"]', id="digits-in-text"),
    pytest.param(b"{}", id="empty-object"),
    pytest.param(b"null", id="null"),
    pytest.param('{"名":"é 🎫"}'.encode(), id="non-ascii"),
]


@both_ways
@pytest.mark.parametrize("data", TAKEN)
def test_what_has_one_reading_is_read(reader: Reader, data: bytes) -> None:
    assert reader(data, JsonLimits()) == json.loads(data)


@both_ways
@pytest.mark.parametrize(
    "number",
    [
        b"9007199254740992",
        b"-9007199254740992",
        b"9007199254740993",
        b"18446744073709551616",
        b"123456789012345678901234567890",
        b"1e16",
        b"1E16",
        b"-1e300",
        b"9007199254740993.0",
    ],
)
@pytest.mark.parametrize(
    "around", [b"%b", b'{"a":%b}', b"[1, %b ]"], ids=["bare", "compact", "spaced"]
)
def test_numbers_others_would_round_are_refused(
    reader: Reader, number: bytes, around: bytes
) -> None:
    assert cause(reader, around % number) == ("number", NOT_ALLOWED)


@both_ways
@pytest.mark.parametrize("open_close", [(b"[", b"]"), (b'{"a":', b"}")], ids=["list", "object"])
def test_depth_is_bounded_exactly(reader: Reader, open_close: tuple[bytes, bytes]) -> None:
    left, right = open_close
    assert reader(left * 64 + b"1" + right * 64, JsonLimits()) is not None
    assert cause(reader, left * 65 + b"1" + right * 65) == ("depth", NOT_ALLOWED)


@both_ways
@pytest.mark.parametrize(("levels", "taken"), [(63, True), (64, False)], ids=["at", "above"])
def test_depth_is_bounded_exactly_beside_many_containers(
    reader: Reader, levels: int, taken: bool
) -> None:
    deep = b'{"a":[' * (levels // 2) + b"[]" * (levels % 2) + b"]}" * (levels // 2)
    data = b"[" + b"[{}]," * 100 + deep + b',"]]]]{{"]'
    if taken:
        assert reader(data, JsonLimits()) is not None
    else:
        assert cause(reader, data) == ("depth", NOT_ALLOWED)


@both_ways
def test_many_containers_side_by_side_are_not_deep(reader: Reader) -> None:
    assert reader(b"[" + b",".join([b"[]"] * 500) + b"]", JsonLimits()) == [[]] * 500


@both_ways
def test_nodes_are_bounded_exactly(reader: Reader) -> None:
    limits = JsonLimits(nodes=10)
    assert reader(b"[1,2,3,4,5,6,7,8,9]", limits) == list(range(1, 10))
    assert cause(reader, b"[1,2,3,4,5,6,7,8,9,10]", limits) == ("nodes", NOT_ALLOWED)
    assert reader(b'["1,2,3,4,5,6,7,8,9,10,11"]', limits) == ["1,2,3,4,5,6,7,8,9,10,11"]


@both_ways
@pytest.mark.parametrize(
    "key",
    ["k" * 256, "é" * 128, '"' * 256, "\\" * 256],
    ids=["ascii", "two-bytes", "quotes", "backslashes"],
)
def test_a_key_is_measured_in_bytes_as_read(reader: Reader, key: str) -> None:
    assert reader(orjson.dumps({key: 1}), JsonLimits()) == {key: 1}
    longer = orjson.dumps({key + "x": 1})
    assert cause(reader, longer) == ("key_length", NOT_ALLOWED)
    assert cause(reader, b'{"a":"b", ' + longer[1:]) == ("key_length", NOT_ALLOWED)


def test_a_large_body_is_read_in_many_steps_and_no_step_ends_within_an_escape() -> None:
    rows: Json = [{"id": index, "t": '\\"' * (index % 40) + "x:"} for index in range(9000)]
    data = orjson.dumps(rows)
    steps = list(_values_of(data))
    assert steps[-1] == rows
    assert len(steps) > 8


def _values_of(data: bytes):
    value = yield from read_steps(data, WIDE)
    yield value


@pytest.mark.parametrize("shift", range(4))
def test_a_run_of_backslashes_across_a_piece_keeps_its_meaning(shift: int) -> None:
    padding = "x" * ((64 << 10) - 20 + shift)
    value: Json = {"a": padding + "\\" * 41, "b": '":"', "c": "\\" * (200 << 10)}
    assert stepped(orjson.dumps(value), WIDE) == value
    doubled = orjson.dumps(value)[:-1] + b',"b":1}'
    assert cause(stepped, doubled, WIDE) == ("duplicate_key", NOT_ALLOWED)


NAMES = frozenset({"method", "params", "_meta", "protocolVersion", "kind"})


@pytest.mark.parametrize(
    ("key", "clashes"),
    [
        pytest.param("method", False, id="itself"),
        pytest.param("Method", True, id="case"),
        pytest.param("PARAMS", True, id="upper"),
        pytest.param("param\u017f", True, id="long-s"),
        pytest.param("\u212aind", True, id="kelvin"),
        pytest.param("\uff4dethod", True, id="fullwidth"),
        pytest.param("protocolversion", True, id="lowered"),
        pytest.param("methods", False, id="longer"),
        pytest.param("m\u00e9thod", False, id="another-letter"),
        pytest.param("x", False, id="other"),
    ],
)
def test_2_a_variant_of_a_protocol_key_is_seen(key: str, clashes: bool) -> None:
    assert fold_clash({"jsonrpc": "2.0", "method": 1, key: 1}, NAMES) == (key if clashes else None)


CROWDED = [
    pytest.param(b"[" + b"1," * 300_000 + b"1]", id="numbers"),
    pytest.param(b"[" + b"[]," * 300_000 + b"1]", id="arrays"),
    pytest.param(b"[" + b'{"a":[[[]]]},' * 60_000 + b"1]", id="nested"),
    pytest.param(b"[" * 40 + b"[]" * 300_000 + b"]" * 40, id="no-json"),
]


@both_ways
@pytest.mark.parametrize("data", CROWDED)
def test_what_has_too_many_values_is_refused_before_it_is_parsed(
    reader: Reader, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[bytes] = []
    monkeypatch.setattr("outrider.core.strict_json.orjson.loads", parsed.append)
    assert cause(reader, data, JsonLimits(nodes=200_000)) == ("nodes", NOT_ALLOWED)
    assert parsed == []


@both_ways
def test_structure_within_strings_is_no_structure(reader: Reader) -> None:
    text = '],[}{,:\\"' * 30_000
    data = orjson.dumps({"a": text})
    assert reader(data, JsonLimits(nodes=2)) == {"a": text}


LARGE = [
    pytest.param(b'{"a":"' + b"\\\\" * 500_000 + b'"}', id="backslashes"),
    pytest.param(orjson.dumps({str(n): n for n in range(100_000)}), id="one-object"),
    pytest.param(b"[" + b"{}," * 100_000 + b"1]", id="empty-objects"),
    pytest.param(orjson.dumps([{str(n): n for n in range(100)}] * 1000), id="rows"),
]


@pytest.mark.parametrize("data", LARGE)
def test_the_loop_has_its_turn_every_so_many_bytes_and_values(data: bytes) -> None:
    value = orjson.loads(data)
    turns = sum(1 for _ in read_steps(data, WIDE))
    containers = [value] if isinstance(value, dict) else [value, *value]
    values = sum(len(one) for one in containers if isinstance(one, (dict, list)))
    assert turns >= len(data) // (64 << 10) + values // 4200
