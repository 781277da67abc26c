"""W3C trace context of an exchange (OPERATIONS §8): continued where valid, else new."""

import re
from typing import Final

from outrider.core.exchange import TraceContext
from outrider.core.ids import random_hex

_PARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})").fullmatch
_STATE: Final = re.compile(
    r"[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,256}"
    r"(?:[ \t]*,[ \t]*[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,256}){0,31}"
).fullmatch
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16


def trace_of(parent: str | None, state: str | None) -> TraceContext:
    """The context of one exchange: a new span, under the caller's where `parent` is valid."""
    match = _PARENT(parent) if parent is not None else None
    if match is None or match[1] == _NO_TRACE or match[2] == _NO_SPAN:
        ids = random_hex(48)
        return TraceContext(trace_id=ids[:32], span_id=ids[32:], parent_id=None, sampled=False)
    kept = state if state is not None and len(state) <= 512 and _STATE(state) else None
    return TraceContext(
        trace_id=match[1],
        span_id=random_hex(16),
        parent_id=match[2],
        sampled=bool(int(match[3], 16) & 1),
        state=kept,
    )
