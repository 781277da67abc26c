"""The request gate: one request line and its fields, read in exactly one way or refused.

Laws (HARDENING §3): refuse, never normalise; one cause for each rule; pure and table-driven. What
passes is what is judged and what is forwarded.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple, NoReturn, TypeAlias

from outrider.core.errors import EnforcementError
from outrider.core.exchange import RequestHead
from outrider.core.vocabulary import Reason
from outrider.protocols.gate_names import INSTANCE, KNOWN, Field, Kind, field_of
from outrider.protocols.gate_target import (
    canonical_path,
    folded_path,
    is_authority,
    is_plain_path,
    is_query,
)

RawHeaders: TypeAlias = "Sequence[tuple[bytes, bytes]]"


class GateCause(StrEnum):
    """Which rule refused: metric label, one for each rule. Add, never repurpose."""

    VERSION = "version"
    METHOD = "method"
    TRACE = "trace"
    CONNECT = "connect"
    ASTERISK = "asterisk"
    TARGET = "target"
    TARGET_LENGTH = "target_length"
    PATH = "path"
    QUERY = "query"
    FIELD_COUNT = "field_count"
    HEAD_LENGTH = "head_length"
    FIELD_NAME = "field_name"
    FIELD_VALUE = "field_value"
    ALIAS = "alias"
    DUPLICATE = "duplicate"
    RESERVED = "reserved"
    HOST = "host"
    UNKNOWN_HOST = "unknown_host"
    ORIGIN = "origin"
    CONNECTION = "connection"
    TE = "te"
    RANGE = "range"
    FRAMING = "framing"
    BODY_LENGTH = "body_length"
    BODY = "body"
    EXPECT = "expect"
    UPGRADE = "upgrade"
    ENCODING = "encoding"
    # the listener's own, seen before a head could be read
    SYNTAX = "syntax"
    PREFACE = "preface"
    TLS = "tls"
    HEAD_TIMEOUT = "head_timeout"
    # of tunnels and of connections that were redirected here
    CLIENT_HELLO = "client_hello"
    SERVER_NAME = "server_name"
    ENCRYPTED_HELLO = "encrypted_hello"
    ORIGINAL = "original"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """The answer to one cause: a finer status, the reason it is recorded under, our sentence."""

    status: int
    reason: Reason
    detail: str


def _malformed(detail: str, status: int = 400) -> Ruling:
    return Ruling(status=status, reason=Reason.MALFORMED, detail=detail)


def _large(detail: str, status: int) -> Ruling:
    return Ruling(status=status, reason=Reason.TOO_LARGE, detail=detail)


def _unknown(detail: str, status: int) -> Ruling:
    return Ruling(status=status, reason=Reason.UNRECOGNISED, detail=detail)


RULINGS: Final[Mapping[GateCause, Ruling]] = {
    GateCause.VERSION: _malformed("only HTTP/1.1 is spoken here", 505),
    GateCause.METHOD: _malformed("the method is not known", 501),
    GateCause.TRACE: _malformed("TRACE is not allowed", 405),
    GateCause.CONNECT: _unknown("CONNECT is not offered here", 405),
    GateCause.ASTERISK: _malformed("OPTIONS * is not allowed"),
    GateCause.TARGET: _malformed("the request target is not allowed"),
    GateCause.TARGET_LENGTH: _large("the request target is too long", 414),
    GateCause.PATH: _malformed(
        "the path can be read in more than one way; it takes UTF-8 that NFKC leaves as it is (so "
        "composed, not NFD), no encoded / \\ % ; ? # or control, no empty, . or .. segment, none "
        "that ends in a dot or begins or ends with a space; an upstream may opt in to %2F and ; by "
        "http.encoded_slash and http.semicolon, out of upper case by http.case_insensitive"
    ),
    GateCause.QUERY: _malformed(
        "the query holds characters that are not allowed; it takes letters, digits and "
        "-._~!$&'()*+,;=:@/?[]| as they are and all else as %XX of UTF-8, but no control such as "
        "%0A or %00: send those in a body"
    ),
    GateCause.FIELD_COUNT: _large("there are too many header fields", 431),
    GateCause.HEAD_LENGTH: _large("the header fields are too long", 431),
    GateCause.FIELD_NAME: _malformed("a header name is not allowed"),
    GateCause.FIELD_VALUE: _malformed("a header value is not printable ASCII"),
    GateCause.ALIAS: _malformed("a header name is an alias of a protected one"),
    GateCause.DUPLICATE: _malformed("a header that may come once came twice"),
    GateCause.RESERVED: _malformed("a reserved header was sent"),
    GateCause.HOST: _malformed(
        "the Host is not valid; give one host[:port] without user, list or trailing dot"
    ),
    GateCause.UNKNOWN_HOST: _unknown("the Host is not served here", 421),
    GateCause.ORIGIN: _unknown("the Origin is not allowed", 403),
    GateCause.CONNECTION: _malformed("Connection names a header that may not be removed"),
    GateCause.TE: _malformed("only TE: trailers is allowed"),
    GateCause.RANGE: _malformed("too many ranges", 416),
    GateCause.FRAMING: _malformed("the length of the body can be read in more than one way"),
    GateCause.BODY_LENGTH: _large("the body is too large", 413),
    GateCause.BODY: _malformed(
        "a body is not allowed with this method; leave it out, or list the method in the "
        "upstream's http.body_methods"
    ),
    GateCause.EXPECT: _malformed("only Expect: 100-continue is allowed", 417),
    GateCause.UPGRADE: _malformed("the upgrade is not offered here"),
    GateCause.ENCODING: _malformed(
        "the content coding is not supported; send the body plain, or as one gzip where it is read",
        415,
    ),
    GateCause.SYNTAX: _malformed("the request is not valid HTTP/1.1"),
    GateCause.PREFACE: _malformed("only HTTP/1.1 is spoken here", 505),
    GateCause.TLS: _malformed("TLS is not spoken here"),
    GateCause.HEAD_TIMEOUT: Ruling(
        status=408, reason=Reason.SLOW_CLIENT, detail="the head came too slowly"
    ),
    GateCause.CLIENT_HELLO: _malformed("the TLS handshake cannot be read"),
    GateCause.SERVER_NAME: _malformed("the TLS handshake names no server (SNI)"),
    GateCause.ENCRYPTED_HELLO: _malformed("the TLS handshake hides its server's name (ECH)"),
    GateCause.ORIGINAL: _unknown("the Host is not where the connection was going", 421),
}


class GateError(EnforcementError):
    """A request the gate refuses. `path` and `host` are set where they were read canonically."""

    cause: GateCause

    def __init__(self, cause: GateCause) -> None:
        ruling = RULINGS[cause]
        super().__init__(ruling.detail, reason=ruling.reason, status=ruling.status, cause=cause)
        self.method: str | None = None
        self.path: str | None = None
        self.host: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRules:
    """What a route opts in to, and the cap of its bodies in bytes."""

    encoded_slash: bool = False
    semicolon: bool = False
    case_insensitive: bool = False
    body_methods: frozenset[str] = frozenset()
    gzip: bool = True  # an adapter reads the body, so that one gzip coding can be taken off
    https: bool = False  # the sidecar originates TLS, so absolute-form https:// may name it
    body_bytes: int = 1 << 20


_DEFAULT_ROUTE: Final = RouteRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """What one listener accepts. `hosts` and `origins` are exact, lower case, `host[:port]`.

    `any_host` takes every valid Host besides: for a listener on which nobody speaks without proof
    of identity, so that no web page can be led there by a name of its own (DNS rebinding), and
    whose answers do not turn on the name. `scheme` is what is spoken on it.

    `route` finds the options of a canonical host and path; it is asked once and never fails.
    """

    hosts: frozenset[str]
    any_host: bool = False
    scheme: str = "http"
    origins: frozenset[str] = frozenset()
    check_origin: bool = True
    absolute: bool = True
    tunnels: bool = False  # CONNECT is offered
    instance: bool = False  # `Outrider-Instance` is read, from an mTLS SPIFFE peer alone
    route: Callable[[str, str], RouteRules] = field(default=lambda _host, _path: _DEFAULT_ROUTE)
    head_fields: int = 100
    head_bytes: int = 32_768
    path_bytes: int = 4096
    query_bytes: int = 8192


class Gated(NamedTuple):
    """A head that passed, and what the listener needs besides. A tuple: one is made per request.

    `length` is the announced Content-Length, None where the body is chunked or absent; `close`
    that an upgrade offer was stripped, so that nothing behind this request is read.
    """

    head: RequestHead
    route: RouteRules
    length: int | None
    dropped: int
    close: bool
    gzip: bool
    traceparent: str | None
    tracestate: str | None


_KEPT_CHECKED: Final = ("content-length", "range", "origin", INSTANCE)
_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_BODILESS: Final = frozenset(("GET", "HEAD", "DELETE", "OPTIONS"))
_NOMINATED: Final = frozenset(("close", "keep-alive", "te", "upgrade", "http2-settings"))
_LENGTH: Final = re.compile(r"0|[1-9][0-9]{0,9}").fullmatch
_KEEP: Final = int(Kind.KEEP)
_ONE: Final = int(Kind.ONE)
_CHECK: Final = int(Kind.CHECK)
_PRINTABLE: Final = bytes((0x09, *range(0x20, 0x7F)))
_UPPER: Final = re.compile(r"%[0-9A-Fa-f]{2}|[^A-Z]").sub  # leaves the upper-case letters


def check(
    method: str, target: str, version: tuple[int, int], raw_headers: RawHeaders, rules: GateRules
) -> Gated:
    """The request as it is judged and forwarded. Raises `GateError`."""
    if version != (1, 1):
        raise GateError(GateCause.VERSION)
    if method not in _METHODS:
        _refuse_method(method)
    scheme, authority, raw_path, query = _split(target, rules)
    plain = is_plain_path(raw_path)
    path = raw_path if plain else _folded(raw_path)
    try:
        kept, special, dropped = fields_of(raw_headers, rules)
        host = _host(special, authority, rules)
        route = rules.route(host, path)
        if not plain:
            path = _ruled_path(raw_path, path, route)
        if route.case_insensitive:
            _check_case(path)
        if authority is not None:
            _check_scheme(scheme, route)
        length, has_body, gzip = _framing(method, special, route)
        expects, close = check_optional(special, rules) if len(special) > 1 else (False, False)
    except GateError as error:
        error.method, error.path = method, path
        raise
    head = RequestHead(
        method=method,
        scheme=scheme,
        host=host,
        path=path,
        query=query,
        headers=tuple(kept),
        absolute=authority is not None,
        expects_continue=expects,
        has_body=has_body,
    )
    return Gated(
        head=head,
        route=route,
        length=length,
        dropped=dropped,
        close=close,
        gzip=gzip,
        traceparent=special.get("traceparent"),
        tracestate=special.get("tracestate"),
    )


def _refuse_method(method: str) -> NoReturn:
    refused = {"TRACE": GateCause.TRACE, "CONNECT": GateCause.CONNECT}
    raise GateError(refused.get(method, GateCause.METHOD))


def _split(target: str, rules: GateRules) -> tuple[str, str | None, str, str]:
    """Scheme, authority (absolute-form alone), raw path and query of a request target."""
    if len(target) > rules.path_bytes + rules.query_bytes + 512:
        raise GateError(GateCause.TARGET_LENGTH)
    scheme, authority, rest = rules.scheme, None, target
    if target[:1] != "/":
        scheme, authority, rest = _absolute(target, rules)
    path, mark, query = rest.partition("?")
    if len(path) > rules.path_bytes or len(query) > rules.query_bytes:
        raise GateError(GateCause.TARGET_LENGTH)
    if mark and not is_query(query):
        raise GateError(GateCause.QUERY)
    return scheme, authority, path, query


def _absolute(target: str, rules: GateRules) -> tuple[str, str, str]:
    if target == "*":
        raise GateError(GateCause.ASTERISK)
    scheme, mark, rest = target.partition("://")
    slash = rest.find("/")
    if not rules.absolute or not mark or scheme not in ("http", "https") or slash < 1:
        raise GateError(GateCause.TARGET)
    return scheme, rest[:slash], rest[slash:]


def fields_of(
    raw_headers: RawHeaders, rules: GateRules
) -> tuple[list[tuple[str, str]], dict[str, str], int]:
    """The fields that stay, those with a rule of their own, and how many were dropped."""
    kept: list[tuple[str, str]] = []
    special: dict[str, str] = {}
    ones: list[str] = []
    dropped = 0
    for (raw, _), value in zip(raw_headers, _values(raw_headers, rules), strict=True):
        name, kind = KNOWN.get(raw) or _field(raw)
        if kind == _ONE:
            kept.append((name, value))
            ones.append(name)
        elif kind == _KEEP:
            kept.append((name, value))
        elif kind == _CHECK:
            if name in special:
                raise GateError(GateCause.DUPLICATE)
            special[name] = value
        else:
            dropped += _gone(name, kind)
    if len(set(ones)) != len(ones):
        raise GateError(GateCause.DUPLICATE)
    kept += [(name, special[name]) for name in _KEPT_CHECKED if name in special]
    if INSTANCE in special and not rules.instance:
        raise GateError(GateCause.RESERVED)
    return kept, special, dropped


def _values(raw_headers: RawHeaders, rules: GateRules) -> list[str]:
    """All values, printable, in one pass over all of them."""
    count = len(raw_headers)
    if count > rules.head_fields or not count:
        raise GateError(GateCause.FIELD_COUNT if count else GateCause.HOST)
    joined = b"\n".join([value for _, value in raw_headers])
    if joined.translate(None, _PRINTABLE) != b"\n" * (count - 1):
        raise GateError(GateCause.FIELD_VALUE)
    if len(joined) + sum([len(raw) + 4 for raw, _ in raw_headers]) > rules.head_bytes:
        raise GateError(GateCause.HEAD_LENGTH)
    return joined.decode("ascii").split("\n")


def _field(raw: bytes) -> Field:
    field = field_of(raw)
    if field is None:
        raise GateError(GateCause.FIELD_NAME)
    return field


def _gone(name: str, kind: int) -> int:
    """How much a field that does not stay adds to the count of dropped ones."""
    if kind == Kind.REFUSE:
        plain = name.startswith("outrider-")
        raise GateError(GateCause.RESERVED if plain else GateCause.ALIAS)
    return 1 if kind == Kind.DROP else 0


def _host(special: dict[str, str], authority: str | None, rules: GateRules) -> str:
    raw = special.get("host")
    if raw is None or (authority is not None and authority != raw):
        raise GateError(GateCause.HOST)
    host = raw.lower()
    if host in rules.hosts:
        return host
    if not is_authority(host):
        raise GateError(GateCause.HOST)
    if not rules.any_host:
        raise GateError(GateCause.UNKNOWN_HOST)
    return host


def _folded(raw: str) -> str:
    path = folded_path(raw)
    if path is None:
        raise GateError(GateCause.PATH)
    return path


def _check_scheme(scheme: str, route: RouteRules) -> None:
    if scheme == "https" and not route.https:
        raise GateError(GateCause.TARGET)


def _check_case(path: str) -> None:
    if _UPPER("", path):
        raise GateError(GateCause.PATH)


def _ruled_path(raw: str, folded: str, route: RouteRules) -> str:
    path = canonical_path(raw, folded, encoded_slash=route.encoded_slash, semicolon=route.semicolon)
    if path is None:
        raise GateError(GateCause.PATH)
    return path


def _framing(
    method: str, special: dict[str, str], route: RouteRules
) -> tuple[int | None, bool, bool]:
    """Announced length, whether a body follows, and whether it is under one gzip coding."""
    coding = special.get("transfer-encoding")
    text = special.get("content-length")
    length = None
    if coding is not None and (coding != "chunked" or text is not None):
        raise GateError(GateCause.FRAMING)
    if text is not None:
        if _LENGTH(text) is None:
            raise GateError(GateCause.FRAMING)
        length = int(text)
        if length > route.body_bytes:
            raise GateError(GateCause.BODY_LENGTH)
    has_body = coding is not None or bool(length)
    if has_body and method in _BODILESS and method not in route.body_methods:
        raise GateError(GateCause.BODY)
    content = special.get("content-encoding", "identity")
    if content != "identity" and (content != "gzip" or not route.gzip):
        raise GateError(GateCause.ENCODING)
    return length, has_body, content == "gzip"


def check_optional(special: dict[str, str], rules: GateRules) -> tuple[bool, bool]:
    """Rules of the fields that most requests lack: expects 100-continue, and must close."""
    connection = special.get("connection")
    if connection is not None:
        names = {name.strip(" \t").lower() for name in connection.split(",")}
        if not names <= _NOMINATED:
            raise GateError(GateCause.CONNECTION)
    origin = special.get("origin")
    if origin is not None and rules.check_origin and origin.lower() not in rules.origins:
        raise GateError(GateCause.ORIGIN)
    if special.get("te", "trailers").lower() != "trailers":
        raise GateError(GateCause.TE)
    if special.get("range", "").count(",") >= 8:
        raise GateError(GateCause.RANGE)
    expect = special.get("expect")
    if expect is not None and expect.lower() != "100-continue":
        raise GateError(GateCause.EXPECT)
    upgrade = special.get("upgrade")
    if upgrade is not None and upgrade.lower() != "h2c":
        raise GateError(GateCause.UPGRADE)
    return expect is not None, upgrade is not None
