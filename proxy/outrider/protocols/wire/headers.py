"""Header fields that adapters share: media types, what never leaves, what no longer describes."""

import re
from dataclasses import dataclass
from typing import Final

from outrider.core.errors import MalformedError
from outrider.core.exchange import Headers, RequestHead

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110 §5.6.2
_TYPE: Final = re.compile(rf"({_TOKEN}/{_TOKEN})[ \t]*(?:;(.*))?")
_CHARSET: Final = re.compile(r'[ \t]*charset=(?:utf-8|"utf-8")[ \t]*', re.IGNORECASE)

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
OUR_NAME: Final = ("user-agent", "outrider")
"""Who speaks to an upstream; an agent's own words for itself would leave unjudged."""

# Hop-by-hop, framing and what the pool or we write ourselves (HARDENING §3); credentials
# (GOVERNANCE §7). The pipeline strips the latter as well; an adapter alone must not leak them.
_NEVER_SENT: Final = frozenset(
    {
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "cookie",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-api-key",
    }
)
_NEVER_SENT_PREFIXES: Final = ("proxy-", "x-amz-", "outrider-")
# What says how an answer is to look, or who speaks, and asks for nothing else to be done.
_PLAIN: Final = frozenset(
    {
        "accept",
        "accept-charset",
        "accept-language",
        "b3",
        "cache-control",
        "content-encoding",
        "content-type",
        "date",
        "dnt",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "last-event-id",
        "origin",
        "pragma",
        "priority",
        "range",
        "referer",
        "sec-gpc",
        "sentry-trace",
        "upgrade-insecure-requests",
        "x-amzn-trace-id",
        "x-cloud-trace-context",
        "x-correlation-id",
        "x-request-id",
        "x-requested-with",
    }
)
# Of browsers, of tracers, and of SDKs about themselves.
_PLAIN_PREFIXES: Final = ("sec-ch-", "sec-fetch-", "x-b3-", "x-datadog-", "x-stainless-")
_FRAMING: Final = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})
# What describes bytes that were changed, or offers parts of them.
_OF_THE_BYTES: Final = frozenset(
    {
        "accept-ranges",
        "content-digest",
        "content-encoding",
        "content-md5",
        "digest",
        "etag",
        "last-modified",
        "repr-digest",
    }
)

# Fields of answers that say what the protocol wants said, each with the form in which they do.
_COUNT: Final = re.compile(r"[0-9,;=.w \"a-z-]{0,64}")
_TOKENS: Final = re.compile(r"[A-Za-z0-9*][A-Za-z0-9*+./;=, \"-]{0,127}|")
_TAG: Final = re.compile(r'(?:W/)?"[A-Za-z0-9+/=_.:-]{0,80}"')
_DATE: Final = re.compile(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT|-1|0")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_OWN_PLACE: Final = re.compile(r"/[A-Za-z0-9/_~-]{0,128}")
_QUIET: Final = {
    "accept-ranges": _TOKENS,
    "age": _COUNT,
    "allow": _TOKENS,
    "cache-control": _TOKENS,
    "connection": _TOKENS,
    "content-encoding": _TOKENS,
    "content-language": _TOKENS,
    "content-length": _COUNT,
    "content-type": _TOKENS,
    "date": _DATE,
    "etag": _TAG,
    "expires": _DATE,
    "keep-alive": _TOKENS,
    "last-modified": _DATE,
    "pragma": _TOKENS,
    "retry-after": _COUNT,
    "server": _NAME,
    "strict-transport-security": _TOKENS,
    "transfer-encoding": _TOKENS,
    "vary": _TOKENS,
    "x-content-type-options": _TOKENS,
    "x-correlation-id": _NAME,
    "x-frame-options": _TOKENS,
    "x-powered-by": _NAME,
    "x-request-id": _NAME,
}
_COUNTED_PREFIXES: Final = ("ratelimit", "x-ratelimit-")
_PLACED: Final = frozenset({"content-location", "location"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaType:
    """A media type in lower case. `plain` is True without parameters save charset=utf-8."""

    name: str
    plain: bool


_PLAIN_JSON: Final = MediaType(name=JSON, plain=True)


def media_type(value: str | None) -> MediaType | None:
    """The media type of a Content-Type field, or None where there is none that can be read."""
    if value == JSON:
        return _PLAIN_JSON
    match = _TYPE.fullmatch(value.strip(" \t")) if value is not None else None
    if match is None:
        return None
    plain = match[2] is None or _CHARSET.fullmatch(match[2]) is not None
    return MediaType(name=match[1].lower(), plain=plain)


def is_json(value: str | None) -> bool:
    """True for exactly `application/json`, with no parameter but charset=utf-8."""
    found = media_type(value)
    return found is not None and found.plain and found.name == JSON


def sendable(head: RequestHead) -> Headers:
    """The fields that may go on: no framing, no credential, nothing of ours."""
    return tuple(
        (name, value)
        for name, value in head.headers
        if name not in _NEVER_SENT and not name.startswith(_NEVER_SENT_PREFIXES)
    )


def telling(head: RequestHead) -> dict[str, str]:
    """What a request's own fields could ask an upstream for: every field that goes on but the
    plain ones, by name. Raises `MalformedError` for one that comes twice: no rule about its value
    would say which of them an upstream takes."""
    found: dict[str, str] = {}
    for name, value in sendable(head):
        if name in _PLAIN or name.startswith(_PLAIN_PREFIXES):
            continue
        if name in found:
            raise MalformedError("a header that asks for something comes twice", cause="header")
        found[name] = value
    return found


def worded(headers: Headers) -> tuple[str, ...]:
    """The values of an answer's fields that say more than their name needs: texts to whoever gets
    them. A field that is known, and in a form of its own, says nothing."""
    return tuple(value for name, value in headers if not _is_quiet(name, value))


def _is_quiet(name: str, value: str) -> bool:
    if name in _PLACED:
        return _OWN_PLACE.fullmatch(value) is not None
    form = _QUIET.get(name)
    if form is None and name.startswith(_COUNTED_PREFIXES):
        form = _COUNT
    return form is not None and form.fullmatch(value) is not None


def without(headers: Headers, *names: str) -> Headers:
    return tuple(field for field in headers if field[0] not in names)


def unframed(headers: Headers) -> Headers:
    """An answer's fields without those the listener writes itself."""
    return tuple(field for field in headers if field[0] not in _FRAMING)


def rewritten(headers: Headers) -> Headers:
    """An answer's fields once its body was changed: nothing that speaks of the old bytes."""
    return tuple(field for field in unframed(headers) if field[0] not in _OF_THE_BYTES)
