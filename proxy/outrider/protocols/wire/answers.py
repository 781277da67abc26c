"""Watchers of plain answers: passed on under a byte cap, or read whole to be redacted.

Law: what is to be redacted is read whole and strictly, or nothing of it leaves.
"""

import re
from collections.abc import Callable
from typing import Final, TypeAlias

import orjson

from outrider.core.constraints import is_index, unescape_token
from outrider.core.errors import (
    EnforcementError,
    MalformedError,
    ObligationError,
    TooLargeError,
    UpstreamFailedError,
)
from outrider.core.exchange import ResponseHead
from outrider.core.jsonvalue import Json
from outrider.core.obligation import RedactObligation
from outrider.core.ports import Emit, Learn, Note, Step
from outrider.core.strict_json import JsonLimits, read, read_steps
from outrider.core.vocabulary import Reason
from outrider.protocols.wire.headers import is_json, rewritten, unframed
from outrider.protocols.wire.turns import LARGE_BYTES, Work, in_turns

SMALL_BYTES: Final = 64 << 10  # an announced answer up to here leaves in one piece
_AUTHORITY: Final = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?//([^/?#]*)")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
# What stands behind an origin, where it has one reading: path, then query and fragment.
_PLACE: Final = re.compile(r"((?:/[A-Za-z0-9\-._~!$&'()*+,;=:@%]+)*/?)((?:[?#][!-\[\]-~]*)?)")
_DOTS: Final = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_PLACED: Final = frozenset({"content-location", "location"})
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
Opening: TypeAlias = Callable[[], list[Step]] | None
"""What a watcher has to say of its answer's head before that leaves (`core.ports.opening_of`)."""
FAILED_STATUS: Final = 400


class PassThrough:
    """An answer as it came, cut where it grows beyond `limit_bytes`. `core.ports.Watcher`."""

    opening: Opening = None

    def __init__(self, head: ResponseHead, limit_bytes: int, *, empty: bool) -> None:
        self._head = head if empty else ResponseHead(
            status=head.status, headers=unframed(head.headers)
        )  # fmt: skip
        self._limit_bytes = limit_bytes
        self._seen_bytes = 0
        announced = announced_bytes(head)
        if announced is not None and announced > limit_bytes and not empty:
            raise TooLargeError(limit_bytes, cause="answer", status=502)
        self._small = empty or (announced is not None and announced <= SMALL_BYTES)

    def head(self) -> ResponseHead:
        return self._head

    @property
    def streaming(self) -> bool:
        return not self._small

    def feed(self, chunk: bytes) -> list[Step]:
        self._seen_bytes += len(chunk)
        if self._seen_bytes > self._limit_bytes:
            raise TooLargeError(self._limit_bytes, cause="answer", status=502)
        return [Emit(data=chunk)]

    def end(self) -> list[Step]:
        return []


class BufferedJson:
    """A JSON answer read whole, redacted and written again. `core.ports.Watcher`."""

    opening: Opening = None

    def __init__(
        self,
        head: ResponseHead,
        redactions: tuple[RedactObligation, ...],
        limit_bytes: int,
        limits: JsonLimits,
        *,
        records: int | None = None,
    ) -> None:
        if not is_json(head.header("content-type")) or head.header("content-encoding") is not None:
            raise ObligationError("an answer that is not JSON cannot be redacted")
        self._head = ResponseHead(status=head.status, headers=rewritten(head.headers))
        self._redactions = redactions
        self._limit_bytes = limit_bytes
        self._limits = limits
        self._records = records
        self._failed = head.status >= FAILED_STATUS
        self._data = bytearray()

    def head(self) -> ResponseHead:
        return self._head

    @property
    def streaming(self) -> bool:
        return False

    def feed(self, chunk: bytes) -> list[Step]:
        if len(self._data) + len(chunk) > self._limit_bytes:
            raise TooLargeError(self._limit_bytes, cause="answer", status=502)
        self._data += chunk
        return []

    def end(self) -> list[Step]:
        data = bytes(self._data)
        if len(data) > LARGE_BYTES:
            return in_turns(self._read(data))
        try:
            return self._redacted(read(data, self._limits))
        except MalformedError as fault:
            raise _unreadable(fault) from None

    def _read(self, data: bytes) -> Work:
        try:
            value = yield from read_steps(data, self._limits)
        except MalformedError as fault:
            raise _unreadable(fault) from None
        yield
        return self._redacted(value)

    def _redacted(self, value: Json) -> list[Step]:
        if self._records is not None and longest_list(value) > self._records:
            raise ObligationError("the answer holds more records than policy allows")
        steps: list[Step] = []
        for redaction in self._redactions:
            value, done = redacted(value, redaction.pointer, redaction.replacement)
            if done:
                steps.append(Note(event="redacted", facts={"pointer": redaction.pointer}))
        return [*steps, Learn(value=value, failed=self._failed), Emit(data=orjson.dumps(value))]


def longest_list(value: Json) -> int:
    """How many items the longest list anywhere in `value` has; one where there is none."""
    longest, level = 1, [value]
    while level:
        node = level.pop()
        if isinstance(node, dict):
            level.extend(node.values())
        elif isinstance(node, list):
            longest = max(longest, len(node))
            level.extend(node)
    return longest


def _unreadable(fault: MalformedError) -> UpstreamFailedError:
    return UpstreamFailedError("the upstream's answer could not be read", cause=fault.cause)


def redacted(value: Json, pointer: str, replacement: Json) -> tuple[Json, bool]:
    """(`value` with what stands at `pointer` replaced, whether anything stood there).

    The empty pointer is the whole. Changes `value` in place where it is a container.
    """
    if not pointer:
        return replacement, True
    *path, last = pointer.split("/")[1:]
    holder = value
    for token in path:
        found, holder = _child(holder, token)
        if not found:
            return value, False
    if isinstance(holder, dict) and unescape_token(last) in holder:
        holder[unescape_token(last)] = replacement
        return value, True
    if isinstance(holder, list) and is_index(last) and int(last) < len(holder):
        holder[int(last)] = replacement
        return value, True
    return value, False


def _child(holder: Json, token: str) -> tuple[bool, Json]:
    if isinstance(holder, dict) and unescape_token(token) in holder:
        return True, holder[unescape_token(token)]
    if isinstance(holder, list) and is_index(token) and int(token) < len(holder):
        return True, holder[int(token)]
    return False, None


def announced_bytes(head: ResponseHead) -> int | None:
    """The length the upstream announced, or None."""
    value = head.header("content-length")
    if value is None or not (value.isascii() and value.isdigit()) or len(value) > 18:
        return None
    return int(value)


def check_location(head: ResponseHead, authority: str | None) -> None:
    """Refuse a `Location` that leads to another origin than `authority`, the
    upstream's own `host:port` (PROTOCOLS §3).

    Raises `EnforcementError` with `upstream_identity`. A path alone stays where it is.
    """
    location = head.header("location")
    if location is None:
        return
    found = _AUTHORITY.match(location)
    if found is None:
        if "\\" not in location and not _SCHEME.match(location):
            return
    elif authority is not None and _with_port(found[1], found[2]) == authority.lower():
        return
    raise EnforcementError(
        "the answer leads to another origin", reason=Reason.UPSTREAM_IDENTITY, cause="location"
    )


def homeward(head: ResponseHead, authority: str | None, base: str, prefix: str) -> ResponseHead:
    """`head` with what leads to a place at `authority` below `base` leading below `prefix`, where
    the agent reaches it through us. What cannot be put there exactly stays as it is."""
    if not any(name in _PLACED for name, _ in head.headers):
        return head
    return ResponseHead(
        status=head.status,
        headers=tuple(
            (name, _placed(value, authority, base, prefix) if name in _PLACED else value)
            for name, value in head.headers
        ),
    )


def _placed(value: str, authority: str | None, base: str, prefix: str) -> str:
    origin = _AUTHORITY.match(value)
    if origin is not None:
        if authority is None or _with_port(origin[1], origin[2]) != authority.lower():
            return value
        value_below = value[origin.end() :]
    else:
        value_below = value
    place = _PLACE.fullmatch(value_below)
    if place is None or _DOTS.search(place[1]) or (origin is None and not place[1]):
        return value
    path = place[1] or "/"
    if not (path + "/").startswith(base + "/"):
        return value
    return (prefix + path.removeprefix(base) or "/") + place[2]


def _with_port(scheme: str | None, authority: str) -> str:
    host = authority.lower()
    if ":" in host.rpartition("]")[2]:
        return host
    return host + _DEFAULT_PORTS.get((scheme or "").lower(), "")
