"""The one reader of JSON that others send (PROTOCOLS §2).

Laws: a document that two readers could take differently is refused, never mended; what is read
is bounded before it is walked; nothing but `MalformedError` is raised.

A repeated key is found without a second parser. In a document that orjson took, every member as
written has exactly one colon outside strings, and the parsed value keeps one member of each
name; so a key is repeated at some depth if and only if there are more colons than members.

Nor does a parser meet more values than are allowed, by much: each value but the first of its
container follows a comma outside strings, and each container ends with a bracket there.
"""

import re
import unicodedata
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Final

import orjson

from outrider.core.errors import MalformedError
from outrider.core.jsonvalue import Json, JsonObject

NOT_JSON: Final = -32700
NOT_ALLOWED: Final = -32600
LARGEST: Final = 2**53 - 1
STEPPED_BYTES: Final = 64 << 10  # above it, callers step `read_steps` and give the loop its turn

_PIECE_BYTES: Final = 64 << 10
_PIECE_ITEMS: Final = 4096
_SLICE_ITEMS: Final = 512
_WIDE_NUMBER: Final = re.compile(rb"[0-9](?:[0-9]{15}|[eE])")
_BEFORE_VALUE: Final = b": \t\n\r"
_FEW_BRACKETS: Final = 1024
_BRACKETS: Final = bytes.maketrans(b"[]", b"{}")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"{}[]"))


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonLimits:
    """Bounds of one document: nesting, values (containers included), bytes of a key."""

    depth: int = 64
    nodes: int = 10_000
    key_bytes: int = 256


REQUEST_LIMITS: Final = JsonLimits()
RESPONSE_LIMITS: Final = JsonLimits(nodes=200_000)


def read(data: bytes, limits: JsonLimits = REQUEST_LIMITS) -> Json:
    """The value of `data`, in one go.

    Raises `MalformedError`: code -32700 with cause `bom`, `utf8`, `syntax`, `number` or `depth`
    where the bytes are no JSON that can be held, -32600 with `duplicate_key`, `depth`, `nodes`,
    `key_length` or `number` where they are JSON that is not taken (`nodes` comes before all
    others: what has too many values is not parsed).
    """
    if len(data) >= limits.nodes and _may_be_crowded(data, limits.nodes):
        for _ in _written(data, limits.nodes):
            pass
    value = _parse(data)
    if not _is_plain(data, value, limits):
        for _ in _check(data, value, limits):
            pass
    return value


def read_steps(data: bytes, limits: JsonLimits = REQUEST_LIMITS) -> Generator[None, None, Json]:
    """`read` for large bodies: the caller gives its loop a turn at each yield (HARDENING §4)."""
    members = yield from _written(data, limits.nodes)
    value = _parse(data)
    yield
    if members != (yield from _walk(value, limits)):
        raise _refused("a key stands twice", "duplicate_key")
    return value


def fold_clash(members: JsonObject, names: frozenset[str]) -> str | None:
    """The first key that folds (NFKC, case) onto one of `names` without being it, or None.

    Readers that match keys loosely (Go's `encoding/json`) would take it for the protocol's own.
    """
    folded: frozenset[str] | None = None
    for key in members:
        if key in names:
            continue
        folded = _folded(names) if folded is None else folded
        if _fold(key) in folded:
            return key
    return None


@lru_cache(maxsize=64)
def _folded(names: frozenset[str]) -> frozenset[str]:
    return frozenset(map(_fold, names))


def _fold(key: str) -> str:
    if key.isascii():
        return key.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", key).casefold())


def _parse(data: bytes) -> Json:
    try:
        value: Json = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _fault(data, str(error)) from None
    return value


def _fault(data: bytes, said: str) -> MalformedError:
    """Why orjson refused; its words choose the name of the cause and nothing else."""
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return MalformedError("a byte order mark", code=NOT_JSON, cause="bom")
    try:
        data.decode()
    except UnicodeDecodeError:
        return MalformedError("not UTF-8", code=NOT_JSON, cause="utf8")
    if said.startswith("depth limit"):
        return MalformedError("nested too deep", code=NOT_JSON, cause="depth")
    if said.startswith("number is infinity"):
        return MalformedError("a number beyond bounds", code=NOT_JSON, cause="number")
    return MalformedError("not JSON", code=NOT_JSON, cause="syntax")


def _is_plain(data: bytes, value: Json, limits: JsonLimits) -> bool:
    """True where a few counts prove every rule; False says only that the long way is needed.

    Outside strings each value but the first follows a comma or an opening bracket. A serialisation
    equal to the bytes leaves no room for a repeated key, whose first value would be missing.
    """
    if len(data) >= limits.nodes and data.count(b",") >= limits.nodes:
        return False
    # One byte for an escaped quote or backslash: no string grows shorter than what it says.
    text = data.replace(b"\\\\", b"_").replace(b'\\"', b"_") if b"\\" in data else data
    if _may_have_long_key(text, limits.key_bytes):
        return False
    outside = b"".join(text.split(b'"')[::2])
    brackets = outside.count(b"{") + outside.count(b"[")
    if outside.count(b",") + brackets >= limits.nodes or brackets > _FEW_BRACKETS:
        return False
    if brackets > limits.depth and not _is_shallow(outside, limits.depth):
        return False
    try:
        again = orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError:  # an integer beyond bounds
        return False
    if again == data:
        # Ours writes a float with a point or an `e`; the other `e` are those of true and false.
        literals = outside.count(b"true") + outside.count(b"false")
        may_be_wide = b"." in outside or outside.count(b"e") != literals
        return not (may_be_wide and _WIDE_NUMBER.search(outside))
    return not _WIDE_NUMBER.search(outside) and _members(value) == outside.count(b":")


def _is_shallow(outside: bytes, depth: int) -> bool:
    """Whether containers are nested at most `depth` deep, by what stands outside the strings of a
    document that orjson took: each round takes the innermost away."""
    left = outside.translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(depth):
        left = left.replace(b"{}", b"")
        if not left:
            return True
    return False


def _may_have_long_key(text: bytes, longest: int) -> bool:
    """False where nothing of more than `longest` bytes between two quotes goes before a colon.

    From each quote it looks back from as far as a string of that length may reach: what stands
    between is too short to matter.
    """
    start = 0
    while start + longest < len(text):
        close = text.rfind(b'"', start, start + longest + 1)
        if close < 0:
            close = text.find(b'"', start + longest + 1)
            if close < 0:
                return False
            if text[close + 1 : close + 2] in _BEFORE_VALUE:
                return True
        start = close + 1
    return False


def _members(value: Json) -> int:
    """The number of object members in a small value."""
    count = 0
    open_values = [value]
    while open_values:
        inner = open_values.pop()
        if isinstance(inner, dict):
            count += len(inner)
            open_values.extend(inner.values())
        elif isinstance(inner, list):
            open_values.extend(inner)
    return count


def _may_be_crowded(data: bytes, nodes: int) -> bool:
    """False where even the text in strings, taken for structure, would hold fewer values."""
    return data.count(b",") >= nodes or data.count(b"]") + data.count(b"}") > nodes


def _check(data: bytes, value: Json, limits: JsonLimits) -> Generator[None, None, None]:
    """Every rule on the whole value, in bounded pieces. Raises `MalformedError`."""
    members = yield from _walk(value, limits)
    if members != (yield from _written(data, limits.nodes)):
        raise _refused("a key stands twice", "duplicate_key")


def _walk(value: Json, limits: JsonLimits) -> Generator[None, None, int]:
    """The number of object members in `value`, level by level, every bound kept on the way."""
    members, nodes, depth, done = 0, 1, 0, 0
    level: list[Json] = [value]
    while level:
        inner: list[Json] = []
        deeper = 1
        for start in range(0, len(level), _SLICE_ITEMS):
            containers = _containers(level[start : start + _SLICE_ITEMS])
            if containers and deeper:
                depth, deeper = depth + deeper, 0
                if depth > limits.depth:
                    raise _refused("nested too deep", "depth")
            held = sum(map(len, containers))
            nodes += held
            if nodes > limits.nodes:
                raise _refused("too many values", "nodes")
            for batch in [containers] if held <= _PIECE_ITEMS else zip(containers):
                members += _checked_keys(batch, limits.key_bytes)
                inner.extend(chain.from_iterable(map(_values, batch)))
                done += sum(map(len, batch))
                if done >= _PIECE_ITEMS:
                    done = 0
                    yield
            done += _SLICE_ITEMS
        level = inner
        yield
    return members


def _values(container: dict[str, Json] | list[Json]) -> "list[Json]":
    return container if isinstance(container, list) else list(container.values())


def _containers(values: list[Json]) -> list[dict[str, Json] | list[Json]]:
    """The containers among `values`; the numbers among them are within bounds."""
    found: list[dict[str, Json] | list[Json]] = []
    for value in values:
        if isinstance(value, (dict, list)):
            found.append(value)
        elif isinstance(value, (int, float)) and not -LARGEST <= value <= LARGEST:
            raise _refused("a number beyond 2^53-1, which JSON readers round", "number")
    return found


def _checked_keys(containers: Iterable[dict[str, Json] | list[Json]], key_bytes: int) -> int:
    members = 0
    for container in containers:
        if isinstance(container, dict):
            members += len(container)
            for key in container:
                # Four bytes a character at most: short keys need no encoding to be measured.
                if len(key) * 4 > key_bytes and len(key.encode()) > key_bytes:
                    raise _refused("a key is too long", "key_length")
    return members


def _written(data: bytes, nodes: int) -> Generator[None, None, int]:
    """Colons outside strings. Valid only for bytes that orjson takes; raises `MalformedError` as
    soon as commas or brackets show that there are more than `nodes` values.

    A piece never ends within an escape, which keeps the character it escapes. Pairs of
    backslashes go first, from the left, so that what is left of a run is the one that escapes.
    """
    colons, commas, brackets, start, inside = 0, 0, 0, 0, 0
    while start < len(data):
        piece = data[start : _piece_end(data, start, start + _PIECE_BYTES)]
        start += len(piece)
        if b"\\" in piece:
            piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
        parts = piece.split(b'"')
        outside = b"".join(parts[inside::2])
        inside ^= len(parts) - 1 & 1
        if outside:
            colons += outside.count(b":")
            commas += outside.count(b",")
            brackets += outside.count(b"]") + outside.count(b"}")
            if commas >= nodes or brackets > nodes:
                raise _refused("too many values", "nodes")
        yield
    return colons


def _piece_end(data: bytes, start: int, end: int) -> int:
    """`end`, or one more where the piece from `start` would end within an escape."""
    if end >= len(data) or data[end - 1] != 0x5C:
        return end
    piece = data[start:end]
    run = len(piece) - len(piece.rstrip(b"\\"))
    return end + run % 2


def _refused(detail: str, cause: str) -> MalformedError:
    return MalformedError(detail, code=NOT_ALLOWED, cause=cause)
