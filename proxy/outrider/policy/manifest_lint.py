"""What is missing or unwise in a manifest, with nothing asked of any server (GOVERNANCE §3).

Every finding is a `Problem` at the upstream's data file. Where it is known what the tools say of
themselves (`Lists`: recorded lists, pinned definitions) the manifest is held against that too;
hints there may raise what a tool counts as and never lower it.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.policy.manifest_guess import (
    READING,
    guess_arguments,
    is_destination_like,
    promised,
    words_of,
)
from outrider.policy.release import Release
from outrider.policy.world import Problem

Lists = Mapping[str, Mapping[str, JsonObject]]
"""Upstream -> tool -> its definition as `tools/list` gave it."""

NOTES: Final = frozenset({"undeclared", "gone"})
"""Checks that only tell: what nobody declared is execute, and what is gone is called by nobody."""
_KINDS: Final = ("tools", "operations")
# Words of fields that others write into: what they hold is nobody's word but theirs.
_WRITTEN: Final = frozenset(
    {"body", "text", "content", "message", "subject", "title", "description", "comment",
     "comments", "note", "notes", "snippet", "summary", "name", "html", "markdown", "bio", "reply",
     "review", "caption", "memo", "label"}
)  # fmt: skip
_META_NAMES: Final = frozenset({"tool", "tool_name", "toolName", "function", "operation", "action"})
_META_ARGUMENTS: Final = frozenset(
    {"args", "arguments", "params", "parameters", "tool_args", "input", "payload"}
)
_BELOW: Final = ("properties", "items", "additionalProperties", "$ref", "anyOf", "oneOf", "allOf")


def lint_manifest(release: Release, lists: Lists, *, draft: bool = False) -> list[Problem]:
    """All that is wrong with the manifest of `release`. With `draft`, what nobody confirmed yet
    is let stand."""
    manifest = as_object(as_object(release.data["outrider"]).get("manifest"))
    found: list[Problem] = []
    for name, value in manifest.items():
        upstream = as_object(value)
        file = f"outrider/manifest/{name}"
        if not upstream.get("owner"):
            found.append(_problem("owner", file, name, "nobody owns it: give owner"))
        for where, entry in entries_of(upstream):
            known = as_object(lists.get(name, {}).get(where.partition(".")[2]))
            found += [
                _problem(check, file, f"{name}.{where}", why)
                for check, why in _entry(where, entry, known, draft=draft)
            ]
        found += _unlisted(name, upstream, lists.get(name, {}), file)
    return found


def entries_of(upstream: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Each tool and operation of an upstream, as `tools.<name>`."""
    for kind in _KINDS:
        for name, entry in as_object(upstream.get(kind)).items():
            yield f"{kind}.{name}", as_object(entry)


def _problem(check: str, file: str, where: str, why: str) -> Problem:
    return Problem(check=check, file=file, line=0, message=f"{where}: {why}")


def _entry(
    where: str, entry: JsonObject, known: JsonObject, *, draft: bool
) -> Iterator[tuple[str, str]]:
    if "effect" not in entry and "unwrap" not in entry:
        yield "effect", "what it does is not said: give effect"
    if not draft:
        yield from _unconfirmed(entry)
    yield from (("effect", why) for why in weaker(where, entry, known))
    yield from _platform(entry)
    schema = as_object(known.get("inputSchema"))
    if schema:
        yield from _roles(entry, schema)
        yield from _arguments(entry, schema)
    if "outputSchema" in known:
        yield from _results(entry, as_object(known["outputSchema"]))


def _unconfirmed(entry: JsonObject) -> Iterator[tuple[str, str]]:
    if entry.get("confirmed") is False:
        yield "unconfirmed", "its effect is a guess: look at it, then delete `confirmed: false`"
    for name, argument in as_object(entry.get("arguments")).items():
        if as_object(argument).get("confirmed") is False:
            yield "unconfirmed", f"the role of {name} is a guess"
    for line in map(as_object, as_list(entry.get("result"))):
        if line.get("confirmed") is False:
            yield "unconfirmed", f"the label of {line.get('path')} is a guess"


# --- effects --------------------------------------------------------------------------------


def weaker(where: str, entry: JsonObject, known: JsonObject) -> Iterator[str]:
    """Why an entry looks milder than what it describes. `confirmed: true` is a person's word that
    a name or method means less than it says; a server's own hint is not talked away."""
    hints = as_object(known.get("annotations"))
    reads = entry.get("effect") == "read" and "unwrap" not in entry
    if reads and hints.get("destructiveHint") is True:
        yield "it counts as read, and the server says that it destroys"
    elif reads and hints.get("readOnlyHint") is False:
        yield "it counts as read, and the server says that it changes things"
    if entry.get("reversible") is True and hints.get("destructiveHint") is True:
        yield "it counts as reversible, and the server says that it destroys"
    if not reads or entry.get("confirmed") is True:
        return
    kind, _, name = where.partition(".")
    method, _, path = name.partition(" ")
    if kind == "operations" and method not in READING:
        yield f"it counts as read, and its method is {method}; if so, say `confirmed: true`"
    spoken = str(entry.get("operation_id") or path) if kind == "operations" else name
    promise = promised(spoken)
    if promise not in (None, "read"):
        yield f"it counts as read, and its name says {promise}; if so, say `confirmed: true`"


def looks_like_meta(entry: JsonObject, known: JsonObject) -> bool:
    """Whether a tool seems to call others that its arguments name, without saying `unwrap`."""
    if "unwrap" in entry:
        return False
    names = set(as_object(as_object(known.get("inputSchema")).get("properties")))
    names |= {name.removeprefix("/") for name in as_object(entry.get("arguments"))}
    return bool(names & _META_NAMES) and bool(names & _META_ARGUMENTS)


# --- results --------------------------------------------------------------------------------


def _platform(entry: JsonObject) -> Iterator[tuple[str, str]]:
    for line in map(as_object, as_list(entry.get("result"))):
        path = str(line.get("path"))
        if line.get("label") != "platform" or line.get("confirmed") is True:
            continue  # a person's word that nobody else writes there
        last = path.rpartition(".")[2].removesuffix("[*]")
        if last in ("$", "*", ""):
            yield "platform", f"{path} takes in fields that others write: name each field"
        elif not _WRITTEN.isdisjoint(words_of(last)):
            yield "platform", f"{path} is a field that others write into: nobody vouches for it"


def _results(entry: JsonObject, schema: JsonObject) -> Iterator[tuple[str, str]]:
    paths = [str(as_object(line).get("path")) for line in as_list(entry.get("result"))]
    records = entry.get("records")
    for path in [*paths, *([records] if isinstance(records, str) else [])]:
        if not may_exist(schema, schema, _steps(path)):
            yield "path", f"{path} cannot be in what it answers"


def _steps(path: str) -> list[str]:
    """`$.items[*].id` as items, *, id."""
    return [step for step in path.replace("[*]", ".*").split(".")[1:] if step]


# --- arguments ------------------------------------------------------------------------------


def _roles(entry: JsonObject, schema: JsonObject) -> Iterator[tuple[str, str]]:
    """Arguments that look like places to send to, and have no role."""
    said = {_top(name) for name in as_object(entry.get("arguments"))}
    if "unwrap" in entry:
        return
    for name in guess_arguments(schema):
        if _top(name) not in said and is_destination_like(_last(name), _field(schema, name)):
            yield "role", f"the argument {name} looks like a destination and has no role"


def _arguments(entry: JsonObject, schema: JsonObject) -> Iterator[tuple[str, str]]:
    for name in as_object(entry.get("arguments")):
        steps = name.split("/")[1:] if name.startswith("/") else [name]
        plain = [step.replace("~1", "/").replace("~0", "~") for step in steps]
        beside = plain[0] == "params._meta" or plain[0].startswith("header.")
        if not beside and not may_exist(schema, schema, plain):
            yield "path", f"it has no argument {name}"
    unwrap = as_object(entry.get("unwrap"))
    for key, path in unwrap.items():
        if str(path).startswith("$") and not may_exist(schema, schema, _steps(str(path))):
            yield "path", f"unwrap.{key}: it has no argument {path}"


def _top(name: str) -> str:
    return name.split("/")[1] if name.startswith("/") else name


def _last(name: str) -> str:
    return next(step for step in reversed(name.split("/")) if step != "*")


def _field(schema: JsonObject, name: str) -> JsonObject:
    return as_object(as_object(schema.get("properties")).get(_top(name)))


def may_exist(schema: Json, root: JsonObject, steps: list[str], hops: int = 0) -> bool:
    """Whether a value that fits `schema` may have something at `steps`; what the schema leaves
    open may. A name that stands in no list of properties counts as a slip, unless more are
    allowed in so many words."""
    node = as_object(schema)
    if not steps or not any(key in node for key in _BELOW) or hops > 32:
        return not steps or node.get("type", "object") in ("object", "array") or hops > 32
    options = [
        *as_list(node.get("anyOf")),
        *as_list(node.get("oneOf")),
        *as_list(node.get("allOf")),
    ]
    if isinstance(node.get("$ref"), str):
        options.append(_referred(str(node["$ref"]), root))
    if any(may_exist(option, root, steps, hops + 1) for option in options):
        return True
    return _is_below(node, root, steps, hops)


def _is_below(node: JsonObject, root: JsonObject, steps: list[str], hops: int) -> bool:
    here, rest = steps[0], steps[1:]
    if "items" in node and (here == "*" or here.isdigit()):
        return may_exist(node["items"], root, rest, hops + 1)
    properties = as_object(node.get("properties"))
    if here in properties:
        return may_exist(properties[here], root, rest, hops + 1)
    more = node.get("additionalProperties")
    if here == "*" and properties:
        return True
    return more is True or (isinstance(more, dict) and may_exist(more, root, rest, hops + 1))


def _referred(target: str, root: JsonObject) -> Json:
    found: Json = root
    for step in target.removeprefix("#/").split("/"):
        found = as_object(found).get(step)
    return found


# --- lists ----------------------------------------------------------------------------------


def _unlisted(
    name: str, upstream: JsonObject, listed: Mapping[str, JsonObject], file: str
) -> Iterator[Problem]:
    if not listed:
        return
    for tool in as_object(upstream.get("tools")):
        if tool not in listed:
            yield _problem("gone", file, f"{name}.tools.{tool}", "the server lists no such tool")
    for tool in listed:
        if tool not in as_object(upstream.get("tools")):
            yield _problem("undeclared", file, f"{name}.tools.{tool}", "it is listed, not declared")
