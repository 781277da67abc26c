"""A request as bytes: our own framing round what was judged, the credential last."""

from typing import Final

from outrider.core.errors import EnforcementError
from outrider.core.exchange import Headers, Outgoing
from outrider.protocols.gate_names import INSTANCE

_OURS: Final = frozenset(
    (
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "http2-settings",
        "proxy-authorization",
        "proxy-authenticate",
        "proxy-connection",
        INSTANCE,
    )
)
_BODY_METHODS: Final = frozenset(("POST", "PUT", "PATCH"))
_SAFE: Final = bytes((0x09, *range(0x20, 0x7F)))


def announced_length(outgoing: Outgoing) -> int | None:
    """The length a streamed body is to have, where its headers say so; else it goes chunked."""
    if isinstance(outgoing.body, bytes):
        return len(outgoing.body)
    for name, value in outgoing.headers:
        if name == "content-length" and value.isascii() and value.isdigit():
            return int(value)
    return None


def request_head(
    outgoing: Outgoing, authority: str, length: int | None, own: Headers = ()
) -> bytes:
    """Request line and fields, checked to be as many lines as were meant. `own` are our own.

    Raises `EnforcementError` where a value would end its line: nothing is sent then.
    """
    secrets = {name for name, _ in outgoing.secret_headers}
    lines = [f"{outgoing.method} {outgoing.target} HTTP/1.1", f"host: {authority}"]
    coded = False
    for name, value in outgoing.headers:
        if name in _OURS or name in secrets:
            continue
        coded = coded or name == "accept-encoding"
        lines.append(f"{name}: {value}")
    if own:
        lines += [f"{name}: {value}" for name, value in own]
    if not coded:
        lines.append("accept-encoding: identity")
    if length is None:
        lines.append("transfer-encoding: chunked")
    elif length or outgoing.method in _BODY_METHODS:
        lines.append(f"content-length: {length}")
    parts = ["\r\n".join(lines).encode("ascii", "replace")]
    parts += [name.encode() + b": " + secret.reveal() for name, secret in outgoing.secret_headers]
    head = b"\r\n".join(parts)
    breaks = len(lines) + len(parts) - 2
    if head.translate(None, _SAFE) != b"\r\n" * breaks or lines[0].count(" ") != 2:
        raise EnforcementError("the request cannot be written as one head", cause="head")
    return head + b"\r\n\r\n"
