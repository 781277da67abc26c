"""The head of a CONNECT request, read in one way or refused (HARDENING §3, rules 1-3, 6-8, 12).

The HTTP parser never sees it, since what follows a CONNECT is no HTTP: so its lines are read here,
as strictly as the parser reads any others, and its fields by the gate's own rules.
"""

import re
from typing import Final, NamedTuple

from outrider.core.exchange import RequestHead
from outrider.protocols.gate import GateCause, GateError, GateRules, check_optional, fields_of
from outrider.protocols.gate_target import is_authority

END: Final = b"\r\n\r\n"
_LINE: Final = re.compile(rb"CONNECT ([!-~]+) HTTP/([0-9])\.([0-9])").fullmatch
_FIELD: Final = re.compile(rb"([^\s:\x00]+):[ \t]*(.*?)[ \t]*", re.DOTALL).fullmatch
_BREAKS: Final = re.compile(rb"[\r\n\x00]").search


class Connect(NamedTuple):
    """A CONNECT that passed: `head.host` is `host:port`, lower case, port and all."""

    head: RequestHead
    dropped: int
    traceparent: str | None
    tracestate: str | None


def connect_head(data: bytes, rules: GateRules) -> Connect:
    """`data` is the head without its empty line. Raises `GateError`."""
    first, *rest = data.split(b"\r\n")
    line = _LINE(first)
    if line is None:
        raise GateError(GateCause.SYNTAX)
    if (line[2], line[3]) != (b"1", b"1"):
        raise GateError(GateCause.VERSION)
    if not rules.tunnels:
        raise GateError(GateCause.CONNECT)
    kept, special, dropped = fields_of([_field(text) for text in rest], rules)
    host = _authority(line[1].decode("ascii"), special)
    if special.get("content-length", "0") != "0" or "transfer-encoding" in special:
        raise GateError(GateCause.BODY)
    expects, upgrades = check_optional(special, rules)
    if expects or upgrades:
        raise GateError(GateCause.EXPECT if expects else GateCause.UPGRADE)
    head = RequestHead(
        method="CONNECT",
        scheme="https",
        host=host,
        path="/",
        query="",
        headers=tuple(kept),
        absolute=True,
    )
    return Connect(head, dropped, special.get("traceparent"), special.get("tracestate"))


def tunnel_head(host: str, port: int) -> RequestHead:
    """The head that a raw TLS connection to `host` stands for."""
    return RequestHead(
        method="CONNECT",
        scheme="https",
        host=f"{host}:{port}",
        path="/",
        query="",
        headers=(),
        absolute=True,
    )


def _field(text: bytes) -> tuple[bytes, bytes]:
    found = _FIELD(text)
    if found is None or _BREAKS(text):
        raise GateError(GateCause.SYNTAX)
    return found[1], found[2]


def _authority(target: str, special: dict[str, str]) -> str:
    """`host:port`, the same in target and Host. An address is a name like any other here, which no
    route has."""
    host = target.lower()
    if special.get("host") != target:
        raise GateError(GateCause.HOST)
    port = host.rpartition("]")[2] if host.startswith("[") else host
    if not is_authority(host) or ":" not in port:
        raise GateError(GateCause.TARGET)
    return host
