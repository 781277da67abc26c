"""OPA's answer over HTTP becomes an engine's raw answer, by the table of POLICY §1.

Laws: what is not plainly a decision is a failure with its reason; an evaluation error is not an
outage; what OPA says of an error goes into our log and nowhere else.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from outrider.core import strict_json
from outrider.core.errors import MalformedError
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.core.ports import Defined, Failed, Meta, Raw, Undefined
from outrider.core.vocabulary import Reason

ENVELOPE_BYTES: Final = 16 << 10
"""Room for what OPA puts beside a result: provenance, a decision id."""

ANSWERED: Final = "OPA answered"
"""How the detail of what OPA itself says begins."""

_CONTENT_TYPES: Final = frozenset({b"application/json", b"application/json; charset=utf-8"})
_LIMITS: Final = strict_json.JsonLimits(depth=100, nodes=100_000, key_bytes=1024)
_OUTAGES: Final = frozenset({429, 502, 503, 504})
_REFUSALS: Final = frozenset({401, 403})
_MOST_CODES: Final = 8
_CODE: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_ADVICE: Final = (
    ": it does not let us ask; name our SPIFFE ID where its system.authz looks for its callers"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole HTTP answer. `content_type` is lower case, empty where none was sent."""

    status: int
    content_type: bytes
    body: bytes


def read_reply(reply: Reply, eval_us: int) -> Raw:
    """The raw answer in `reply`. `meta.revision` is the one OPA's provenance names, where it was
    asked for, else the one the decision itself names, else None."""
    if reply.status != 200:
        return _failure(reply)
    if reply.content_type not in _CONTENT_TYPES:
        return _malformed("the answer's content type is not JSON")
    try:
        # OPA ends its answers with a newline, which would lose the reader its short way.
        members = strict_json.read(reply.body.rstrip(b"\n"), _LIMITS)
    except MalformedError as fault:
        return _malformed(f"the answer is not JSON that is taken ({fault.cause})")
    if not isinstance(members, dict):
        return _malformed("the answer is no object")
    if "result" not in members:
        # OPA leaves "result" out when the entry point is undefined; that is not false.
        return Undefined(meta=Meta(revision=provenance_revision(members), eval_us=eval_us))
    value = members["result"]
    meta = Meta(
        decision_id=_text(members.get("decision_id")),
        revision=provenance_revision(members) or named_revision(value),
        eval_us=eval_us,
    )
    return Defined(value=value, meta=meta)


def named_revision(value: Json) -> str | None:
    """The revision that a decision names itself; the empty string counts as none."""
    return _text(value.get("revision")) if isinstance(value, dict) else None


def provenance_revision(members: JsonObject) -> str | None:
    """The revision of the one bundle that OPA says it answered from."""
    bundles = as_object(as_object(members.get("provenance")).get("bundles"))
    if len(bundles) != 1:
        return None
    return _text(as_object(next(iter(bundles.values()))).get("revision"))


def provenance_version(reply: Reply) -> str | None:
    """The version of OPA that a 200 with provenance names."""
    try:
        members = strict_json.read(reply.body.rstrip(b"\n"), _LIMITS)
    except MalformedError:
        return None
    return _text(as_object(as_object(members).get("provenance")).get("version"))


def error_codes(body: bytes) -> Sequence[str]:
    """`code` and each `errors[].code` of OPA's error document that is a plain word."""
    try:
        document = as_object(strict_json.read(body.rstrip(b"\n"), _LIMITS))
    except MalformedError:
        return ()
    codes = [document.get("code")]
    codes += [as_object(error).get("code") for error in as_list(document.get("errors"))]
    plain = (code for code in codes if isinstance(code, str) and _CODE.fullmatch(code))
    return list(islice(plain, _MOST_CODES))


def _failure(reply: Reply) -> Failed:
    said = f"{ANSWERED} {reply.status} {' '.join(error_codes(reply.body))}".rstrip()
    if reply.status in _OUTAGES:
        return Failed(code=Reason.POLICY_UNAVAILABLE, detail=said)
    advice = _ADVICE if reply.status in _REFUSALS else ""
    return Failed(code=Reason.POLICY_ERROR, detail=f"{said}{advice}")


def _malformed(detail: str) -> Failed:
    return Failed(code=Reason.POLICY_MALFORMED, detail=detail)


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None
