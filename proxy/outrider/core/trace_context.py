"""W3C trace context of an exchange (OPERATIONS §8): continued where valid, else new.

Law: what a caller says of traces proves nothing; a context that breaks its grammar is as good as
none, and what of it goes on is written anew.
"""

import re
from dataclasses import replace
from typing import Final

from outrider.core.exchange import TraceContext
from outrider.core.ids import random_hex

_PARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})").fullmatch
_STATE: Final = re.compile(
    r"[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,256}"
    r"(?:[ \t]*,[ \t]*[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,256}){0,31}"
).fullmatch
_STATE_CHARS: Final = 512
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16


def trace_of(parent: str | None, state: str | None) -> TraceContext:
    """The context of one exchange: a new span, under the caller's where `parent` is valid."""
    read = _read(parent)
    if read is None:
        ids = random_hex(48)
        return TraceContext(trace_id=ids[:32], span_id=ids[32:], parent_id=None, sampled=False)
    return TraceContext(
        trace_id=read[1],
        span_id=random_hex(16),
        parent_id=read[2],
        sampled=bool(int(read[3], 16) & 1),
        state=_kept(state),
    )


def rejoined(trace: TraceContext, parent: str | None, state: str | None) -> TraceContext:
    """`trace` under the parent that the message itself names, which wins over the header's; the
    very same where it names none, or none that is valid, or the same."""
    read = _read(parent)
    if read is None or (read[1], read[2]) == (trace.trace_id, trace.parent_id):
        return trace
    return replace(
        trace,
        trace_id=read[1],
        parent_id=read[2],
        sampled=bool(int(read[3], 16) & 1),
        state=_kept(state),
    )


def _read(parent: str | None) -> "re.Match[str] | None":
    match = _PARENT(parent) if parent is not None else None
    if match is None or match[1] == _NO_TRACE or match[2] == _NO_SPAN:
        return None
    return match


def _kept(state: str | None) -> str | None:
    return state if state is not None and len(state) <= _STATE_CHARS and _STATE(state) else None
