"""An engine's raw answer becomes a decision, by the table of POLICY §1.

Laws: what is not plainly an allow is a deny, and the last arm denies; a key or a type that is not
known makes the whole answer malformed, so that a misspelt `obligation` never allows; `1` is not
`true` and `"Allow"` is not `"allow"`.
"""

from dataclasses import dataclass
from typing import Final

from outrider.core.decision import Decision, ReasonEntry
from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.core.obligation import (
    ApprovalObligation,
    CredentialObligation,
    Obligation,
    RedactObligation,
)
from outrider.core.ports import Defined, Failed, Meta, Raw, Undefined
from outrider.core.vocabulary import Effect, Reason
from outrider.policy.obligations import SEVERITIES, parse_obligation

MAX_RESULT_BYTES: Final = 256 << 10
MOST_REASONS: Final = 32
MOST_OBLIGATIONS: Final = 64
LONGEST_TEXT: Final = 512
LONGEST_TTL_S: Final = 3600
_KEYS: Final = frozenset({"effect", "reasons", "obligations", "revision", "ttl_s"})
_EFFECTS: Final = {effect.value: effect for effect in Effect}
_MODES: Final = {"enforce": 0, "approved": 1, "shadow": 2}
_RANK: Final = {severity: rank for rank, severity in enumerate(reversed(SEVERITIES))}
_NO_META: Final = Meta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Who was asked: engine, the revision its snapshot stands for, and those it may name."""

    engine: str
    revision: str
    expected: frozenset[str]


class _MalformedResultError(Exception):
    """The answer is not a decision object; the text is a fixed sentence."""


class _UnmetError(Exception):
    """The answer is a decision whose obligations cannot stand; the text is a fixed sentence."""


def decide(raw: Raw | object, *, id: str, source: Source) -> Decision:  # noqa: A002
    """The decision that `raw` makes. `id` is used where the engine gave none. Never raises."""
    match raw:
        case Failed(code=code, detail=detail):
            return refusal(code, detail, id=id, source=source)
        case Undefined(meta=meta):
            return refusal(
                Reason.POLICY_UNDEFINED, "the entry point is undefined",
                id=id, source=source, meta=meta,
            )  # fmt: skip
        case Defined(value=value, meta=meta):
            return _defined(value, meta, id=id, source=source)
        case _:
            return refusal(Reason.POLICY_ERROR, "the engine gave no answer", id=id, source=source)


def refusal(
    reason: Reason,
    detail: str,
    *,
    id: str,  # noqa: A002
    source: Source,
    meta: Meta = _NO_META,
) -> Decision:
    """A deny of the proxy's own, for `reason`; `detail` stays in our log and record."""
    return Decision(
        id=meta.decision_id or id,
        effect=Effect.DENY,
        reason=reason,
        revision=meta.revision or source.revision,
        engine=source.engine,
        eval_us=meta.eval_us,
        detail=detail,
    )


def _defined(value: Json, meta: Meta, *, id: str, source: Source) -> Decision:  # noqa: A002
    try:
        if value is True or value is False:
            value = {"effect": "allow" if value else "deny"}
        return _object(value, meta, id=id, source=source)
    except _MalformedResultError as fault:
        return refusal(Reason.POLICY_MALFORMED, str(fault), id=id, source=source, meta=meta)
    except _UnmetError as fault:
        told = as_object(value)  # its form was already found good
        return Decision(
            id=meta.decision_id or id,
            effect=Effect.DENY,
            reason=Reason.OBLIGATION,
            reasons=_reasons(told),
            raw_obligations=_raw_obligations(told),
            revision=meta.revision or source.revision,
            engine=source.engine,
            eval_us=meta.eval_us,
            detail=str(fault),
        )


def _object(value: Json, meta: Meta, *, id: str, source: Source) -> Decision:  # noqa: A002
    if not isinstance(value, dict):
        raise _MalformedResultError("the answer is no object")
    if not value.keys() <= _KEYS:
        raise _MalformedResultError("the answer has a key that is not known")
    word = value.get("effect")
    effect = _EFFECTS.get(word) if isinstance(word, str) else None
    if effect is None:
        raise _MalformedResultError("the answer's effect is missing or unknown")
    named = _revision(value)
    reasons = _reasons(value)
    raw = _raw_obligations(value)
    ttl_s = _ttl_s(value)
    revision = meta.revision or named or source.revision
    if revision not in source.expected:
        return refusal(
            Reason.POLICY_STALE, "the answer names a revision that is not expected",
            id=id, source=source, meta=meta,
        )  # fmt: skip
    obligations = _obligations(effect, raw)
    return Decision(
        id=meta.decision_id or id,
        effect=effect,
        reason=_REASON_OF[effect],
        reasons=reasons,
        obligations=obligations,
        raw_obligations=raw,
        revision=revision,
        engine=source.engine,
        eval_us=meta.eval_us,
        ttl_s=ttl_s,
    )


_REASON_OF: Final = {
    Effect.ALLOW: None,
    Effect.HOLD: Reason.HELD,
    Effect.DENY: Reason.POLICY,
}


def _revision(value: JsonObject) -> str:
    revision = value.get("revision", "")
    if not isinstance(revision, str) or len(revision) > LONGEST_TEXT:
        raise _MalformedResultError("the answer's revision is no short string")
    return revision


def _ttl_s(value: JsonObject) -> int:
    ttl_s = value.get("ttl_s", 0)
    if type(ttl_s) is not int or not 0 <= ttl_s <= LONGEST_TTL_S:
        raise _MalformedResultError("the answer's ttl_s is no integer from 0 to 3600")
    return ttl_s


def _reasons(value: JsonObject) -> tuple[ReasonEntry, ...]:
    given = value.get("reasons", [])
    if not isinstance(given, list):
        raise _MalformedResultError("the answer's reasons are no list")
    if not given:
        return ()
    # Sorted here: engines differ in the order of sets.
    found = sorted((_reason(item) for item in given), key=_order)
    return tuple(found[:MOST_REASONS])


def _order(reason: ReasonEntry) -> tuple[int, int, str, str, str]:
    return (
        _MODES[reason.mode],
        _RANK.get(reason.severity, len(_RANK)),
        reason.code,
        reason.pointer or "",
        reason.message,
    )


def _reason(item: Json) -> ReasonEntry:
    if not isinstance(item, dict):
        raise _MalformedResultError("a reason is no object")
    code = item.get("code")
    if not isinstance(code, str) or not code:
        raise _MalformedResultError("a reason has no code")
    mode = item.get("mode", "enforce")
    if not isinstance(mode, str) or mode not in _MODES:
        raise _MalformedResultError("a reason's mode is unknown")
    refs = item.get("refs", [])
    if not isinstance(refs, list) or not all(isinstance(ref, str) for ref in refs):
        raise _MalformedResultError("a reason's refs are no list of strings")
    pointer = item.get("pointer")
    if pointer is not None and not isinstance(pointer, str):
        raise _MalformedResultError("a reason's pointer is no string")
    return ReasonEntry(
        code=code[:LONGEST_TEXT],
        message=_text(item, "message", ""),
        severity=_text(item, "severity", "medium"),
        refs=tuple(str(ref)[:LONGEST_TEXT] for ref in refs[:MOST_REASONS]),
        pointer=None if pointer is None else pointer[:LONGEST_TEXT],
        mode=mode,
        would=_would(item) if mode == "shadow" else None,
        softened=mode == "shadow" and item.get("softened") is True,
        excepted=isinstance(item.get("exception"), str),
    )


def _would(item: JsonObject) -> Effect | None:
    word = item.get("would")
    return _EFFECTS.get(word) if isinstance(word, str) else None


def _text(item: JsonObject, key: str, default: str) -> str:
    value = item.get(key, default)
    if not isinstance(value, str):
        raise _MalformedResultError("a reason's text is no string")
    return value[:LONGEST_TEXT]


def _raw_obligations(value: JsonObject) -> tuple[Json, ...]:
    given = value.get("obligations", [])
    if not isinstance(given, list):
        raise _MalformedResultError("the answer's obligations are no list")
    for item in given:
        if not isinstance(item, dict) or not isinstance(item.get("type"), str):
            raise _MalformedResultError("an obligation is no object with a type")
    if value.get("effect") == "allow" and any(_is_approval(item) for item in given):
        raise _MalformedResultError("an approval stands beside an allow")
    return tuple(given)


def _is_approval(item: Json) -> bool:
    return isinstance(item, dict) and item.get("type") == "approval"


def _obligations(effect: Effect, raw: tuple[Json, ...]) -> tuple[Obligation, ...]:
    if len(raw) > MOST_OBLIGATIONS:
        raise _UnmetError("there are too many obligations")
    try:
        found = [parse_obligation(item) for item in raw if isinstance(item, dict)]
    except ValueError as fault:
        raise _UnmetError(str(fault)) from None
    if effect is Effect.HOLD and not any(isinstance(one, ApprovalObligation) for one in found):
        raise _UnmetError("a hold says nobody who could approve it")
    _check_conflicts(found)
    return tuple(found)


def _check_conflicts(found: list[Obligation]) -> None:
    """Two obligations that cannot both be carried out make the decision a deny (POLICY §7)."""
    if sum(isinstance(one, CredentialObligation) for one in found) > 1:
        raise _UnmetError("two credentials are asked for")
    pointers: dict[str, Json] = {}
    for one in found:
        if not isinstance(one, RedactObligation):
            continue
        if pointers.setdefault(one.pointer, one.replacement) != one.replacement:
            raise _UnmetError("one place is to be redacted in two ways")
