"""Which declared operation a method and path are: a trie over path templates (PROTOCOLS §7).

Laws: an exact segment beats `{name}`, and what it beats is not tried for another method; a value
is decoded once and is no path of its own: `/`, `\\`, NUL, controls and dot segments are refused
in it; the path that leaves is built again from what was matched.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_to_bytes

from outrider.core.catalogue import ToolEntry
from outrider.core.errors import MalformedError, UnrecognisedError

_SAFE = "-._~!$&'()*+,;=:@"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One declared operation: its key "METHOD /template", its entry, its template's segments."""

    key: str
    entry: ToolEntry
    names: tuple[str | None, ...]  # for each segment the name of its value, None for a literal

    @property
    def name(self) -> str:
        return self.entry.operation_id or self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """The operation, the values in its path, and the path as it leaves."""

    operation: Operation
    values: dict[str, str]
    path: str


@dataclass(slots=True)
class _Node:
    literals: dict[str, "_Node"] = field(default_factory=dict)
    value: "_Node | None" = None
    operations: dict[str, Operation] = field(default_factory=dict)


class Operations:
    """The operations of one upstream, ready to be matched."""

    def __init__(self, entries: Mapping[str, ToolEntry]) -> None:
        self._root = _Node()
        for key, entry in entries.items():
            self._add(key, entry)

    def _add(self, key: str, entry: ToolEntry) -> None:
        method, _, template = key.partition(" ")
        node = self._root
        names: list[str | None] = []
        for segment in template.split("/")[1:]:
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.value = node.value or _Node()
                node = node.value
            else:
                names.append(None)
                node = node.literals.setdefault(_plain(segment), _Node())
        node.operations[method] = Operation(key=key, entry=entry, names=tuple(names))

    def match(self, method: str, path: str, *, encoded_slash: bool = False) -> Matched:
        """The operation that `method` on the percent-canonical `path` is.

        HEAD is GET where it is not declared itself. With `encoded_slash` a segment that holds %2F
        keeps its raw spelling. Raises `UnrecognisedError` where none fits (405 with the methods
        that would) and `MalformedError` for a value that could be read as a path.
        """
        raw = path.split("/")[1:]
        segments = [_judged(segment, encoded_slash=encoded_slash) for segment in raw]
        node = _find(self._root, segments, 0)
        if node is None:
            raise UnrecognisedError("no declared operation has this path", cause="operation")
        operation = node.operations.get(method)
        if operation is None and method == "HEAD":
            operation = node.operations.get("GET")
        if operation is None:
            raise UnrecognisedError(
                "no declared operation has this method",
                cause="method",
                status=405,
                allow_methods=tuple(sorted(node.operations)),
            )
        values = {
            name: segment
            for name, segment in zip(operation.names, segments, strict=True)
            if name is not None
        }
        return Matched(operation=operation, values=values, path=_path(raw, segments))


def _find(node: _Node, segments: list[str], index: int) -> _Node | None:
    """The node for all segments. Each node is met at most once: the trie bounds the work."""
    if index == len(segments):
        return node if node.operations else None
    literal = node.literals.get(segments[index])
    found = _find(literal, segments, index + 1) if literal else None
    if found is None and node.value is not None and segments[index]:
        found = _find(node.value, segments, index + 1)
    return found


def _judged(segment: str, *, encoded_slash: bool) -> str:
    if not encoded_slash or "%2F" not in segment:
        return _plain(segment)
    for piece in segment.split("%2F"):
        _plain(piece)
    return segment


def _plain(segment: str) -> str:
    """One segment decoded, once. Raises `MalformedError` for what could be more than a segment."""
    if "%" not in segment:
        plain = segment
    else:
        try:
            plain = unquote_to_bytes(segment).decode()
        except UnicodeDecodeError:
            raise MalformedError("a path segment is not UTF-8", cause="path") from None
    if plain in {".", ".."} or "/" in plain or "\\" in plain or _has_control(plain):
        raise MalformedError("a path segment is more than a segment", cause="path")
    return plain


def _has_control(text: str) -> bool:
    if text.isprintable():  # no control is
        return False
    return any(unicodedata.category(char) == "Cc" for char in text)


def _path(raw: list[str], segments: list[str]) -> str:
    """The path again, encoded segment by segment; a raw spelling stays as it was judged."""
    return "/" + "/".join(
        spelled if judged == spelled else quote(judged, safe=_SAFE)
        for spelled, judged in zip(raw, segments, strict=True)
    )
