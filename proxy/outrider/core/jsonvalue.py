"""JSON values, their canonical bytes and digests (RFC 8785)."""

import hashlib
import re
from typing import Final, TypeAlias

import orjson
import rfc8785

Json: TypeAlias = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
JsonObject: TypeAlias = dict[str, Json]

_SORTED: Final = orjson.OPT_SORT_KEYS
# A number stands behind `":`, `[` or `,`; with a fraction or an exponent its RFC 8785 form may
# differ. Text can look like one (`,1.5`): that costs the long way, never a wrong form.
_NON_ASCII_OR_FLOAT: Final = re.compile(rb'[\x7f-\xff]|(?:":|[\[,])-?[0-9]+[.eE]|^-?[0-9]+[.eE]')


def canonical(value: Json) -> bytes:
    """The RFC 8785 bytes of `value`.

    Raises `ValueError` for integers beyond ±(2^53-1), which have no canonical form. The short way
    (orjson, sorted keys) is taken only where it provably gives the same bytes: nothing outside
    ASCII, no fraction. Text that merely looks like a fraction takes the long way, never a wrong one.
    """
    quick = orjson.dumps(value, option=_SORTED)
    if not _NON_ASCII_OR_FLOAT.search(quick):
        return quick
    return rfc8785.dumps(value)


def digest(data: bytes) -> str:
    """`sha256:<hex>` of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def json_digest(value: Json) -> str:
    """`sha256:<hex>` of the canonical bytes of `value`."""
    return digest(canonical(value))


def as_object(value: Json) -> JsonObject:
    """`value` if it is an object, else an empty one: for reading optional parts of checked data."""
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> list[Json]:
    """`value` if it is an array, else an empty one."""
    return value if isinstance(value, list) else []
