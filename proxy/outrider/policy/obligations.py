"""Obligations as policy wrote them, parsed into the types of `core.obligation`, never guessed.

Law: an unknown type, an unknown field or a value outside its range is a `ValueError`, and the
decision is then a deny: what may not be dropped is not half understood.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.obligation import (
    ApprovalObligation,
    CredentialObligation,
    HeaderObligation,
    LabelObligation,
    LimitObligation,
    NarrowObligation,
    NotifyObligation,
    Obligation,
    QuarantineObligation,
    RedactObligation,
)
from outrider.core.vocabulary import Sensitivity

SEVERITIES: Final = ("info", "low", "medium", "high", "critical")
_SCOPES: Final = ("agent", "task", "tool", "upstream")
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@/-]{0,127}")
_HEADER: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,64}")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]{0,1024}")
_POINTER: Final = re.compile(r"(/([^~]|~[01])*)+", re.DOTALL)
_LABEL: Final = re.compile(r"[a-z][a-z_]{0,31}")
_MOST_ITEMS: Final = 32
_LONGEST_POINTER: Final = 512
_DAY_S: Final = 86_400


def parse_obligation(raw: JsonObject) -> Obligation:
    """One obligation. Raises `ValueError` in a fixed sentence of ours."""
    kind = raw.get("type")
    parse = _PARSERS.get(kind) if isinstance(kind, str) else None
    if parse is None:
        raise ValueError("the obligation's type is unknown")
    fields = _Fields(raw)
    made = parse(fields)
    fields.done()
    return made


class _Fields:
    """One obligation's fields, each read once; what was not read is unknown."""

    def __init__(self, raw: JsonObject) -> None:
        self._raw = raw
        self._read = {"type"}

    def get(self, name: str) -> Json:
        self._read.add(name)
        return self._raw.get(name)

    def done(self) -> None:
        if self._raw.keys() - self._read:
            raise ValueError("the obligation has an unknown field")

    def word(self, name: str) -> str:
        value = self.word_or_none(name)
        if value is None:
            raise ValueError(f"the obligation's {name} is missing")
        return value

    def word_or_none(self, name: str) -> str | None:
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not _WORD.fullmatch(value):
            raise ValueError(f"the obligation's {name} is no plain word")
        return value

    def one_of(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self.get(name)
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(f"the obligation's {name} is none of those known")
        return value

    def integer(self, name: str, low: int, high: int) -> int | None:
        value = self.get(name)
        if value is None:
            return None
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"the obligation's {name} is no integer in its range")
        return value

    def flag(self, name: str) -> bool:
        value = self.get(name)
        if value is None or value is False:
            return False
        if value is not True:
            raise ValueError(f"the obligation's {name} is neither true nor false")
        return True

    def words(self, name: str, form: re.Pattern[str]) -> tuple[str, ...]:
        value = self.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or len(value) > _MOST_ITEMS:
            raise ValueError(f"the obligation's {name} is no list, or too long")
        if not all(isinstance(item, str) and form.fullmatch(item) for item in value):
            raise ValueError(f"the obligation's {name} holds what it may not")
        return tuple(str(item) for item in value)


def _approval(fields: _Fields) -> Obligation:
    step_up = fields.get("step_up")
    if step_up is not None:
        _check_step_up(step_up)
    quorum = fields.integer("quorum", 1, 16)
    expires_s = fields.integer("expires_s", 1, 7 * _DAY_S)
    return ApprovalObligation(
        group=fields.word("group"),
        quorum=1 if quorum is None else quorum,
        four_eyes=fields.flag("four_eyes"),
        expires_s=900 if expires_s is None else expires_s,
        step_up=step_up if isinstance(step_up, dict) else None,
    )


def _check_step_up(value: Json) -> None:
    if not isinstance(value, dict):
        raise ValueError("the obligation's step_up is no object")  # noqa: TRY004 - data, not a bug
    inner = _Fields({"type": "", **value})
    inner.word("acr")
    inner.integer("max_age_s", 1, _DAY_S)
    inner.done()


def _credential(fields: _Fields) -> Obligation:
    return CredentialObligation(
        provider=fields.word("provider"),
        role=fields.word_or_none("role"),
        scope=fields.words("scope", _WORD),
        ttl_s=fields.integer("ttl_s", 1, _DAY_S),
    )


def _redact(fields: _Fields) -> Obligation:
    pointer = fields.get("pointer")
    if not isinstance(pointer, str) or len(pointer) > _LONGEST_POINTER:
        raise ValueError("the obligation's pointer is no JSON pointer")
    if not _POINTER.fullmatch(pointer):
        raise ValueError("the obligation's pointer is no JSON pointer")
    replacement = fields.get("with")
    if isinstance(replacement, dict | list):
        raise ValueError("the obligation's with is no plain value")  # noqa: TRY004
    return RedactObligation(
        pointer=pointer, replacement="[redacted]" if replacement is None else replacement
    )


def _limit(fields: _Fields) -> Obligation:
    response_bytes = fields.integer("response_bytes", 0, 1 << 40)
    records = fields.integer("records", 0, 1 << 40)
    if response_bytes is None and records is None:
        raise ValueError("the obligation limits nothing")
    return LimitObligation(response_bytes=response_bytes, records=records)


def _label(fields: _Fields) -> Obligation:
    sensitivity = fields.get("sensitivity")
    labels = fields.words("labels", _LABEL)
    if sensitivity is None and not labels:
        raise ValueError("the obligation labels nothing")
    if sensitivity is None:
        return LabelObligation(labels=labels)
    if not isinstance(sensitivity, str) or sensitivity not in list(Sensitivity):
        raise ValueError("the obligation's sensitivity is none of those known")
    return LabelObligation(sensitivity=Sensitivity(sensitivity), labels=labels)


def _header(fields: _Fields) -> Obligation:
    given = fields.get("set")
    if not isinstance(given, dict) or not 1 <= len(given) <= _MOST_ITEMS:
        raise ValueError("the obligation's set is no object of header fields")
    found: dict[str, str] = {}
    for name, value in given.items():
        lower = name.lower()
        if not _HEADER.fullmatch(lower) or lower in found:
            raise ValueError("the obligation's set holds what is no header name, or one twice")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError("the obligation's set holds what is no header value")
        found[lower] = value
    return HeaderObligation(set=tuple(sorted(found.items())))


def _narrow(fields: _Fields) -> Obligation:
    grant = fields.get("grant")
    if not isinstance(grant, dict):
        raise ValueError("the obligation's grant is no object")  # noqa: TRY004
    return NarrowObligation(grant=grant)


def _quarantine(fields: _Fields) -> Obligation:
    return QuarantineObligation(scope=fields.one_of("scope", _SCOPES), reason=fields.word("reason"))


def _notify(fields: _Fields) -> Obligation:
    return NotifyObligation(
        channel=fields.word("channel"), severity=fields.one_of("severity", SEVERITIES)
    )


_PARSERS: Final[Mapping[str, Callable[[_Fields], Obligation]]] = {
    "approval": _approval,
    "credential": _credential,
    "redact": _redact,
    "limit": _limit,
    "label": _label,
    "header": _header,
    "narrow": _narrow,
    "quarantine": _quarantine,
    "notify": _notify,
}
