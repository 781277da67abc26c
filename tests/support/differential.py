"""Documents changed at one place, and answers of two engines brought to one form."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from outrider.core.decision import Decision
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.ports import Raw
from outrider.core.vocabulary import Effect
from outrider.policy.result import Source, decide

RANK = {Effect.ALLOW: 0, Effect.HOLD: 1, Effect.DENY: 2}
_Key = str | int
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """`base` with the value at `keys` removed, nulled or retyped (`how`). The document is made when
    it is looked at: there are far more changes than a run has time for."""

    base: JsonObject
    keys: tuple[_Key, ...]
    how: str

    @property
    def pointer(self) -> str:
        return "/" + "/".join(str(key).replace("~", "~0").replace("/", "~1") for key in self.keys)

    @property
    def document(self) -> JsonObject:
        copy: JsonObject = orjson.loads(orjson.dumps(self.base))
        place: Any = _at(copy, self.keys[:-1])
        last = self.keys[-1]
        match self.how:
            case "removed":
                del place[last]
            case "null":
                place[last] = None
            case _:
                place[last] = _retyped(place[last])
        return copy


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What two engines must agree on."""

    effect: Effect
    reason: str | None
    codes: tuple[tuple[str, str, str], ...]
    obligations: tuple[bytes, ...]


def verdict_of(raw: Raw, revision: str) -> Verdict:
    source = Source(engine="any", revision=revision, expected=frozenset({revision}))
    decision = decide(raw, id="dec-1", source=source)
    return Verdict(
        effect=decision.effect,
        reason=decision.reason,
        codes=tuple(sorted((one.code, one.mode, one.pointer or "") for one in decision.reasons)),
        obligations=_obligations(decision),
    )


def changes(document: JsonObject) -> Iterator[Change]:
    """Every place of `document` but its root, changed in each of three ways."""
    for keys in _places(document):
        for how in ("removed", "null", "retyped"):
            yield Change(base=document, keys=keys, how=how)


def is_leaf(document: JsonObject, change: Change) -> bool:
    """Whether what was changed holds nothing of its own."""
    value = _at(document, change.keys)
    return not isinstance(value, dict | list) or not value


def sample(items: Sequence[_Item], most: int, *, whole: bool) -> Sequence[_Item]:
    """All of `items`, or as many as `most` of them, the same ones each time."""
    if whole or len(items) <= most:
        return items
    return random.Random(20261123).sample(items, most)  # noqa: S311 - a sample


def _places(value: Json, above: tuple[_Key, ...] = ()) -> Iterator[tuple[_Key, ...]]:
    inner: list[tuple[_Key, Json]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    for key, item in inner:
        yield (*above, key)
        yield from _places(item, (*above, key))


def _at(document: Json, keys: Sequence[_Key]) -> Json:
    for key in keys:
        document = document[key]  # type: ignore[index]
    return document


def _retyped(value: Json) -> Json:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case str():
            return 7
        case None:
            return {}
        case list():
            return {"0": value[0]} if value else "[]"
        case dict():
            return list(value)


def _obligations(decision: Decision) -> tuple[bytes, ...]:
    plain = (_plain(one) for one in decision.raw_obligations)
    return tuple(sorted(orjson.dumps(one, option=orjson.OPT_SORT_KEYS) for one in plain))


def _plain(value: Json) -> Json:
    """OPA prints 1.0 where regorus prints 1."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case _:
            return value
