"""What of a file a bundle's signature hashes: a document in one form, all else byte for byte.

Law: the same bytes as OPA hashes (its `bundle/hash.go`): keys sorted at every depth, no space, a
number as it was written, so that a signature outlives a formatter and nothing else.
"""

import json
from collections.abc import Callable, Iterator
from json.encoder import encode_basestring
from pathlib import PurePosixPath
from typing import Final

import rfc8785

from outrider.core import strict_json
from outrider.core.errors import ConfigError, MalformedError
from outrider.core.jsonvalue import Json, JsonObject
from outrider.policy.bundle import JSON_LIMITS, read_yaml

_DOCUMENTS: Final = frozenset({"data.json", "data.yaml", ".manifest"})


class _Number(str):
    """A number in the letters it was written with."""

    __slots__ = ()


def hashed_form(name: str, content: bytes) -> bytes:
    """What is hashed of the file `name`. Raises `ConfigError` for a document that is none."""
    if PurePosixPath(name).name not in _DOCUMENTS:
        return content
    return "".join(_written(_read(name, content))).encode()


def _read(name: str, content: bytes) -> Json:
    try:
        strict_json.read(content, JSON_LIMITS)
    except MalformedError as fault:
        if not name.endswith(".yaml") or fault.code != strict_json.NOT_JSON:
            raise ConfigError(f"{name}: not usable as JSON: {fault.detail}") from fault
        return _of_yaml(name, content)
    # The strict reader took it: this one only keeps how numbers are spelt.
    value: Json = _LITERAL.decode(content.decode())
    return value


def _of_yaml(name: str, content: bytes) -> Json:
    try:
        text = content.decode()
    except UnicodeDecodeError as fault:
        raise ConfigError(f"{name}: not UTF-8") from fault
    return _plain(read_yaml(text, name))


def _plain(value: Json) -> Json:
    """`value` with its fractions as Go writes what it read from YAML: the shortest form."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return _Number(rfc8785.dumps(value).decode()) if isinstance(value, float) else value


_as_number: Final[Callable[[str], _Number]] = _Number
_LITERAL: Final = json.JSONDecoder(parse_float=_as_number, parse_int=_as_number)


def _written(value: Json) -> Iterator[str]:
    match value:
        case dict():
            yield from _members(value)
        case list():
            yield "["
            for number, inner in enumerate(value):
                if number:
                    yield ","
                yield from _written(inner)
            yield "]"
        case str():
            yield value if isinstance(value, _Number) else _text(value)
        case None:
            yield "null"
        case bool():
            yield "true" if value else "false"
        case _:
            yield str(value)  # an integer out of YAML


def _members(value: JsonObject) -> Iterator[str]:
    yield "{"
    for number, key in enumerate(sorted(value)):
        yield f"{',' if number else ''}{_text(key)}:"
        yield from _written(value[key])
    yield "}"


def _text(text: str) -> str:
    # Go escapes these two always: old JavaScript took them for the end of a line.
    return encode_basestring(text).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
