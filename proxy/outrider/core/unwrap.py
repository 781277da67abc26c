"""Calls through a meta-tool, judged as the call they carry (CONTRACTS §3).

Laws: what is judged holds everything the upstream acts on, so a call that says anything beside
the inner name and arguments is not taken apart; what is not taken apart is the meta-tool's own,
and that is execute; an inner call is never judged by less than the manifest says of it.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, TypeAlias

from outrider.core.action import Ask
from outrider.core.catalogue import (
    UNDECLARED,
    ArgumentEntry,
    Manifest,
    ResultField,
    ToolEntry,
    Unwrap,
)
from outrider.core.constraints import resolve
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.vocabulary import FieldLabel, ResourceType, Role, Sensitivity

Path: TypeAlias = tuple[str, ...]

MOST_LAYERS: Final = 4
"""Meta-tools within meta-tools that are taken apart; a call wrapped more often is not."""
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
URI: Final = "uri"
"""The argument of a resource's ask; its role and type are built in."""
_PLACE: Final = ArgumentEntry(pointer=f"/{URI}", role=Role.DESTINATION, type="url")
_NAMED: Final = ArgumentEntry(pointer=f"/{URI}", role=Role.SELECTOR, type="url")
_ANY_ANSWER: Final = replace(UNDECLARED, sensitivity=Sensitivity.SECRET)
"""Of the answer of a meta-tool whose inner call is not known any more."""
_GUARDED: Final = frozenset({FieldLabel.SECRET, FieldLabel.PII})
# What adapters tell beside the arguments: it is said of the call, whichever tool it is of.
_META: Final = "params._meta"
_FIELD: Final = "header."


_BY_NAME: Final = frozenset({ResourceType.TOOL, ResourceType.HOST})


def entry_of(ask: Ask, manifest: Manifest) -> ToolEntry:
    """What the manifest says of `ask`; an upstream it does not know is undeclared.

    Where `ask` fetches another's answer it is what is said of that answer; a resource's URI is an
    argument in any case.
    """
    if ask.answers is not None:
        return _of_answer(entry_of(ask.answers, manifest))
    upstream = manifest.upstreams.get(ask.upstream)
    if ask.resource_type is ResourceType.RESOURCE:
        return _with_uri(ask, UNDECLARED if upstream is None else upstream.default)
    if upstream is None:
        return UNDECLARED
    key = ask.operation or ask.resource
    if ask.resource_type in _BY_NAME:
        return upstream.tools.get(key, upstream.default)
    if ask.resource_type is ResourceType.API:
        return upstream.operations.get(key, upstream.default)
    return upstream.default


def _with_uri(ask: Ask, entry: ToolEntry) -> ToolEntry:
    """The URI says where a network is reached; else which of the upstream's own things is meant."""
    uri = _PLACE if ask.hosts else _NAMED
    return replace(entry, arguments=(*entry.arguments, uri))


def _of_answer(entry: ToolEntry) -> ToolEntry:
    """What `entry` says of an answer whose call is over. What depended on its arguments is taken
    for the worse: a field is guarded, and nothing is trusted."""
    if entry.unwrap is not None:
        return _ANY_ANSWER
    result = tuple(
        one if one.when is None else ResultField(path=one.path, label=one.label)
        for one in entry.result
        if one.when is None or one.label in _GUARDED
    )
    return replace(entry, arguments=(), result=result, offers=None)


def unwrapped(ask: Ask, manifest: Manifest) -> Ask:
    """The innermost call that `ask` carries, `ask` itself where it carries none that can be read.

    `via` then names the meta-tool it came through; whether its schema holds is not known.
    """
    inner = ask
    for _ in range(MOST_LAYERS):
        wrap = entry_of(inner, manifest).unwrap
        found = _inner(inner, wrap, manifest) if wrap is not None else None
        if found is None:
            return inner
        inner = found
    return inner if entry_of(inner, manifest).unwrap is None else ask


def _inner(ask: Ask, wrap: Unwrap, manifest: Manifest) -> Ask | None:
    arguments = ask.arguments
    if arguments is None:
        return None
    beside = {key: value for key, value in arguments.items() if _is_beside(key)}
    name, inner = resolve(arguments, wrap.name)[1], _arguments(arguments, wrap.arguments)
    upstream = _upstream(arguments, wrap, manifest)
    if not _is_name(name) or inner is None or upstream is None:
        return None
    if any(map(_is_beside, inner)) or _says_more(arguments, _paths(wrap), beside):
        return None
    return replace(
        ask,
        resource_type=ResourceType.TOOL,
        upstream=upstream,
        resource=str(name),
        operation=None,
        arguments={**inner, **beside},
        effect=None,
        schema_valid=False if ask.schema_valid is False else None,
        via=ask.via or ask.resource_id,
    )


def _is_name(name: Json) -> bool:
    return isinstance(name, str) and bool(_NAME.fullmatch(name)) and bool(name.strip("."))


def _arguments(arguments: JsonObject, pointer: str) -> JsonObject | None:
    """The inner arguments; none at all are none, anything but an object cannot be read."""
    found, value = resolve(arguments, pointer)
    if not found:
        return {}
    return value if isinstance(value, dict) else None


def _upstream(arguments: JsonObject, wrap: Unwrap, manifest: Manifest) -> str | None:
    named: Json = wrap.upstream
    if wrap.upstream.startswith("/"):
        named = resolve(arguments, wrap.upstream)[1]
    return named if isinstance(named, str) and named in manifest.upstreams else None


def _paths(wrap: Unwrap) -> list[Path]:
    pointers = (wrap.name, wrap.arguments, wrap.upstream)
    return [tuple(pointer.split("/")[1:]) for pointer in pointers if pointer.startswith("/")]


def _says_more(value: Json, paths: Iterable[Path], beside: Iterable[str] = ()) -> bool:
    """Whether `value` holds anything that none of `paths` leads to."""
    if not isinstance(value, dict):
        return True
    for key, within in value.items():
        if key in beside:
            continue
        below = [path[1:] for path in paths if path[:1] == (key,)]
        if () not in below and (not below or _says_more(within, below)):
            return True
    return False


def _is_beside(key: str) -> bool:
    return key == _META or key.startswith(_FIELD)
