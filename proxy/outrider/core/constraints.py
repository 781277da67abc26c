"""Constraints on a call's arguments: finite sets, intervals, prefixes and globs, no free regex.

Laws: nothing is coerced (`"100"` is no number, true is no 1; 100 and 100.0 are one number, as in
RFC 8785); every leaf of a constrained call is named by a pointer, its own or one above it, and an
empty container is a leaf; adding a constraint narrows, removing one widens.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeGuard

from outrider.core.errors import ConfigError
from outrider.core.globs import Glob, globs_within, parse_glob
from outrider.core.jsonvalue import Json, JsonObject, canonical

_LARGEST: Final = 2**53 - 1
_KEYS: Final = (
    "min", "max", "max_length", "max_items", "in", "equals", "prefix", "glob", "required",
    "forbidden",
)  # fmt: skip
_LONG: Final = 1024
UNNAMED: Final = (
    "an argument the grant does not name; to let it pass, name this pointer under the tool's "
    "arguments in the grant (a header's is /header.<name>)"
)
MAX_POINTERS: Final = 256
MAX_VALUES: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """What one argument may be. `allowed` maps the canonical bytes of each value to it."""

    min: float | None = None
    max: float | None = None
    max_length: int | None = None
    max_items: int | None = None
    allowed: tuple[tuple[bytes, Json], ...] | None = None
    prefix: str | None = None
    globs: tuple[Glob, ...] | None = None
    required: bool = False
    forbidden: bool = False

    def admits(self, value: Json) -> bool:
        """True if `value`, present, keeps every constraint."""
        return not self.forbidden and self._in_set(value) and self._bounded(value)

    def _in_set(self, value: Json) -> bool:
        if self.allowed is None:
            return True
        if (
            isinstance(value, str | list | dict)
            and len(value) > _LONG
            and len(value) > max((len(key) for key, _ in self.allowed), default=0)
        ):
            return False  # each character and each element takes a byte at least
        try:
            key = canonical(value)
        except ValueError:
            return False
        return any(key == allowed for allowed, _ in self.allowed)

    def _bounded(self, value: Json) -> bool:
        if self.min is not None and not (_is_number(value) and value >= self.min):
            return False
        if self.max is not None and not (_is_number(value) and value <= self.max):
            return False
        if self.max_items is not None and not (
            isinstance(value, list) and len(value) <= self.max_items
        ):
            return False
        if self.max_length is None and self.prefix is None and self.globs is None:
            return True
        return isinstance(value, str) and self._spelt(value)

    def _spelt(self, value: str) -> bool:
        if self.max_length is not None and len(value) > self.max_length:
            return False
        if self.prefix is not None and not value.startswith(self.prefix):
            return False
        return self.globs is None or any(glob.matches(value) for glob in self.globs)

    def within(self, wide: "Constraint") -> bool:
        """True if whatever this one takes, absence included, `wide` provably takes too."""
        if wide.required and not self.required:
            return False
        if self.forbidden:
            return True
        if wide.forbidden:
            return False
        if self.allowed is not None:
            values = (value for _, value in self.allowed if self._bounded(value))
            return all(wide.admits(value) for value in values)
        return wide.allowed is None and self._bounds_within(wide)

    def _bounds_within(self, wide: "Constraint") -> bool:
        return (
            (wide.min is None or (self.min is not None and self.min >= wide.min))
            and _at_most(self.max, wide.max)
            and _at_most(self.max_length, wide.max_length)
            and _at_most(self.max_items, wide.max_items)
            and (
                wide.prefix is None
                or (self.prefix is not None and self.prefix.startswith(wide.prefix))
            )
            and (
                wide.globs is None
                or (self.globs is not None and globs_within(self.globs, wide.globs))
            )
        )

    @property
    def is_trivial(self) -> bool:
        return self == _ANYTHING


_ANYTHING: Final = Constraint()


def _at_most(inner: float | None, outer: float | None) -> bool:
    return outer is None or (inner is not None and inner <= outer)


def _is_number(value: Json) -> TypeGuard[int | float]:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and -_LARGEST <= value <= _LARGEST
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentRule:
    """The constraints of one tool: JSON pointer to constraint. What no pointer names is refused."""

    by_pointer: Mapping[str, Constraint]
    document: JsonObject

    def first_gap(self, arguments: JsonObject) -> tuple[str, str] | None:
        """(pointer, sentence) of the first argument outside the rule, or None."""
        for pointer, constraint in self.by_pointer.items():
            found, value = resolve(arguments, pointer)
            if not found and constraint.required:
                return pointer, "an argument the grant requires is missing"
            if found and not constraint.admits(value):
                return pointer, "an argument is outside what the grant allows"
        for name, inner in arguments.items():
            unnamed = self._unnamed(inner, "/" + escape_token(name))
            if unnamed is not None:
                return unnamed, UNNAMED
        return None

    def _unnamed(self, value: Json, pointer: str) -> str | None:
        """The first leaf of `value`, which stands at `pointer`, that is not named; None if all
        are. Only what leads to a name is gone into, so the rule bounds the work, not the call."""
        if pointer in self.by_pointer:
            return None
        below = pointer + "/"
        if not any(named.startswith(below) for named in self.by_pointer):
            return _first_leaf(value, pointer)
        for token, inner in _children(value):
            found = self._unnamed(inner, below + token)
            if found is not None:
                return found
        return None if _children(value) else pointer

    def names(self, pointer: str) -> bool:
        """True if the pointer or one above it is named."""
        while pointer:
            if pointer in self.by_pointer:
                return True
            pointer = pointer.rpartition("/")[0]
        return False

    def within(self, wide: "ArgumentRule") -> bool:
        """True if every call this rule takes, `wide` provably takes too."""
        present = [path for path, rule in self.by_pointer.items() if not rule.forbidden]
        if not all(map(wide.names, present)):
            return False
        return all(self._keeps(path, rule, present) for path, rule in wide.by_pointer.items())

    def _keeps(self, pointer: str, wide: Constraint, present: list[str]) -> bool:
        own = self.by_pointer.get(pointer)
        if own is not None:
            return own.within(wide)
        if any(_related(pointer, other) for other in present):
            return wide.is_trivial  # part of it may be there, of unknown shape
        return not wide.required


def _related(one: str, other: str) -> bool:
    return (one + "/").startswith(other + "/") or (other + "/").startswith(one + "/")


def parse_rule(document: Json, where: str) -> ArgumentRule:
    """Raises `ConfigError` naming the key."""
    if not isinstance(document, dict) or len(document) > MAX_POINTERS:
        raise ConfigError(f"{where}: give a map of at most {MAX_POINTERS} JSON pointers")
    by_pointer: dict[str, Constraint] = {}
    for pointer, rule in document.items():
        if not is_pointer(pointer):
            raise ConfigError(f"{where}: {pointer!r} is no JSON pointer such as /amount")
        by_pointer[pointer] = _parse_constraint(rule, f"{where}.{pointer}")
    return ArgumentRule(by_pointer=by_pointer, document=document)


def _parse_constraint(rule: Json, where: str) -> Constraint:
    if not isinstance(rule, dict):
        raise ConfigError(f"{where}: give a map of constraints")
    for key in rule:
        if key not in _KEYS:
            raise ConfigError(f"{where}.{key} is unknown; give one of {', '.join(_KEYS)}")
    required, forbidden = _flag(rule, "required", where), _flag(rule, "forbidden", where)
    if required and forbidden:
        raise ConfigError(f"{where}: required and forbidden exclude one another")
    return Constraint(
        min=_number(rule, "min", where),
        max=_number(rule, "max", where),
        max_length=_count(rule, "max_length", where),
        max_items=_count(rule, "max_items", where),
        allowed=_allowed(rule, where),
        prefix=_prefix(rule, where),
        globs=_globs(rule, where),
        required=required,
        forbidden=forbidden,
    )


def _flag(rule: JsonObject, key: str, where: str) -> bool:
    value = rule.get(key, False)
    if not isinstance(value, bool):
        raise ConfigError(f"{where}.{key} is {value!r}; give true or false")
    return value


def _number(rule: JsonObject, key: str, where: str) -> float | None:
    value = rule.get(key)
    if key in rule and not _is_number(value):
        raise ConfigError(f"{where}.{key} is {value!r}; give a number within 2^53-1")
    return value if _is_number(value) else None


def _count(rule: JsonObject, key: str, where: str) -> int | None:
    value = _number(rule, key, where)
    if value is not None and (not isinstance(value, int) or value < 0):
        raise ConfigError(f"{where}.{key} is {value!r}; give a whole number from 0")
    return value if isinstance(value, int) else None


def _prefix(rule: JsonObject, where: str) -> str | None:
    value = rule.get("prefix")
    if "prefix" in rule and not isinstance(value, str):
        raise ConfigError(f"{where}.prefix is {value!r}; give a string")
    return value if isinstance(value, str) else None


def _allowed(rule: JsonObject, where: str) -> tuple[tuple[bytes, Json], ...] | None:
    """`in` and `equals` as one set; both together allow what stands in both."""
    if "in" not in rule and "equals" not in rule:
        return None
    values = rule.get("in", [rule.get("equals")])
    if not isinstance(values, list) or len(values) > MAX_VALUES:
        raise ConfigError(f"{where}.in: give a list of at most {MAX_VALUES} values")
    try:
        known = {canonical(value): value for value in values}
        wanted = canonical(rule["equals"]) if "equals" in rule else None
    except ValueError:
        raise ConfigError(f"{where}: a number beyond 2^53-1") from None
    return tuple((key, known[key]) for key in sorted(known) if wanted in (None, key))


def _globs(rule: JsonObject, where: str) -> tuple[Glob, ...] | None:
    if "glob" not in rule:
        return None
    value = rule["glob"]
    found: list[Glob] = []
    for text in value if isinstance(value, list) else [value]:
        try:
            found.append(parse_glob(text_of(text)))
        except ValueError as error:
            raise ConfigError(f"{where}.glob is {text!r}: {error}") from None
    return tuple(found)


def text_of(value: Json) -> str:
    """Raises `ValueError` for what is no string."""
    if isinstance(value, str):
        return value
    raise ValueError("give a string")


# --- JSON pointers (RFC 6901) ---------------------------------------------------------------


def is_pointer(text: str) -> bool:
    """True for a pointer below the root: `/a`, `/a/0`, with `~` only as `~0` and `~1`."""
    return text.startswith("/") and "~" not in text.replace("~0", "").replace("~1", "")


def escape_token(token: str) -> str:
    """One member name as a pointer token."""
    return token.replace("~", "~0").replace("/", "~1")


def unescape_token(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~")


def resolve(document: Json, pointer: str) -> tuple[bool, Json]:
    """(whether there is such a value, the value)."""
    value = document
    for token in pointer.split("/")[1:]:
        if isinstance(value, dict):
            name = unescape_token(token)
            if name not in value:
                return False, None
            value = value[name]
        elif isinstance(value, list) and is_index(token) and int(token) < len(value):
            value = value[int(token)]
        else:
            return False, None
    return True, value


def is_index(token: str) -> bool:
    """True for an array index as RFC 6901 spells it: ASCII digits, at most 9, no leading zero."""
    return (
        token.isascii()
        and token.isdigit()
        and len(token) <= 9
        and (len(token) == 1 or not token.startswith("0"))
    )


def _children(value: Json) -> list[tuple[str, Json]]:
    if isinstance(value, dict):
        return [(escape_token(key), inner) for key, inner in value.items()]
    if isinstance(value, list):
        return [(str(index), inner) for index, inner in enumerate(value)]
    return []


def _first_leaf(value: Json, pointer: str) -> str:
    """Pointer of the first scalar or empty container in `value`; the reader bounds the depth."""
    while children := _children(value):
        token, value = children[0]
        pointer = f"{pointer}/{token}"
    return pointer
