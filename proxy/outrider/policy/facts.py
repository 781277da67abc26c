"""Facts of a query that are read out of something else: addresses, paths, long contents."""

import ipaddress
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl, unquote

from outrider.core.errors import MalformedError
from outrider.core.exchange import Headers
from outrider.core.jsonvalue import Json, JsonObject, digest

CONTENT_BYTES: Final = 1024  # a longer leaf of role `content` stands as digest and size
HEADERS: Final = frozenset(
    {"accept", "content-type", "mcp-protocol-version", "origin", "user-agent"}
)
_QUERY_FIELDS: Final = 256
_WEEKDAYS: Final = (
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
)  # fmt: skip


def host_port(host: str | None) -> tuple[str | None, int | None]:
    """Name and port of a configured `host:port`."""
    if host is None:
        return None, None
    name, _, port = host.rpartition(":")
    if not name or not port.isdecimal():
        return host, None
    return name.removeprefix("[").removesuffix("]"), int(port)


def ip_class(host: str | None) -> str | None:
    """What kind of address a literal host is; None for a name, whose address policy never sees."""
    if host is None or not (host[:1].isdigit() or ":" in host):
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link_local"
    return "private" if address.is_private else "public"


def parsed_path(path: str) -> list[str]:
    """The segments of `path`, unescaped one by one; exactly one leading `/` is no segment."""
    segments = path.removeprefix("/").split("/")
    if "%" not in path:
        return segments
    try:
        return [unquote(segment, errors="strict") for segment in segments]
    except UnicodeDecodeError as fault:
        raise MalformedError("the path is not UTF-8", cause="path") from fault


def parsed_query(query: str) -> dict[str, list[str]]:
    """The fields of a query string, each with the list of its values, sorted by name."""
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, errors="strict", max_num_fields=_QUERY_FIELDS
        )
    except ValueError as fault:  # a UnicodeDecodeError is one
        raise MalformedError("the query string cannot be read", cause="query") from fault
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return dict(sorted(found.items(), key=lambda item: item[0].encode()))


def instant(unix_s: float | None) -> str | None:
    """A wall time in whole seconds as RFC 3339, or None."""
    if unix_s is None:
        return None
    return datetime.fromtimestamp(int(unix_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pointer_parts(pointer: str) -> list[str]:
    """The steps of a JSON pointer."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def shorten_at(value: Json, parts: list[str]) -> Json:
    """`value` with long leaves at or below `parts` as digest and size; the rest is shared."""
    if not parts:
        return _shortened(value)
    head, rest = parts[0], parts[1:]
    if isinstance(value, dict) and head in value:
        return {**value, head: shorten_at(value[head], rest)}
    if isinstance(value, list) and head.isdecimal() and int(head) < len(value):
        place = int(head)
        return [*value[:place], shorten_at(value[place], rest), *value[place + 1 :]]
    return value


def _shortened(value: Json) -> Json:
    if isinstance(value, str):
        if len(value) * 4 <= CONTENT_BYTES:  # no text of so few characters can be longer
            return value
        content = value.encode("utf-8", errors="surrogatepass")
        if len(content) <= CONTENT_BYTES:
            return value
        return {"digest": digest(content), "bytes": len(content)}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    return value


def time_parts(unix_s: int) -> JsonObject:
    """One second in the forms that policy compares, UTC."""
    moment = datetime.fromtimestamp(unix_s, UTC)
    return {
        "rfc3339": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "unix_s": unix_s,
        "weekday": _WEEKDAYS[moment.weekday()],
        "minute_of_day": moment.hour * 60 + moment.minute,
    }


def told_headers(headers: Headers) -> dict[str, str]:
    """The header fields policy is told, by name in order; repeated ones joined."""
    found: dict[str, str] = {}
    for name, value in headers:
        if name in HEADERS:
            found[name] = f"{found[name]}, {value}" if name in found else value
    return dict(sorted(found.items())) if len(found) > 1 else found
