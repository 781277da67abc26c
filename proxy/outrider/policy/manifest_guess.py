"""What a tool may do and what its arguments are for, guessed from names, formats and hints.

Laws: a guess says `confirmed: false`; nothing but a hint or method that means reading makes a
guess milder than execute, and a name that says otherwise undoes it; what is not known is given
the role that is watched, not the one that is let go.
"""

import re
from collections.abc import Mapping
from typing import Final

from outrider.core.destinations import argument_pointer
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.policy.openapi import ApiOperation

MAX_ARGUMENTS: Final = 200
MAX_DEPTH: Final = 4
"""Objects within objects whose fields are looked at; what lies deeper is one argument."""
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})

# What a name promises, gravest first; a word counts where it stands by itself.
VERBS: Final[Mapping[str, frozenset[str]]] = {
    "execute": frozenset({"exec", "execute", "eval", "shell", "spawn", "deploy", "invoke"}),
    "admin": frozenset({"grant", "revoke", "permission", "role", "invite", "password", "enable",
                        "disable", "approve"}),
    "pay": frozenset({"pay", "payment", "refund", "transfer", "charge", "purchase", "buy",
                      "order"}),
    "delete": frozenset({"delete", "remove", "drop", "purge", "destroy", "erase", "cancel"}),
    "share": frozenset({"share", "publish", "forward"}),
    "send": frozenset({"send", "reply", "mail", "email", "post", "notify", "submit", "upload"}),
    "write": frozenset({"create", "add", "update", "set", "edit", "write", "insert", "put", "move",
                        "rename", "patch", "append", "schedule", "reschedule", "book", "reserve"}),
}  # fmt: skip
_READ: Final = frozenset({"get", "list", "read", "search", "find", "fetch", "show", "describe",
                          "query", "lookup", "count", "check"})  # fmt: skip

_GRAVEST: Final = (*VERBS, "read")
_JOINS: Final = frozenset({"and", "or", "then"})

_BY_FORMAT: Final[Mapping[str, tuple[str, str]]] = {
    "email": ("destination", "email"), "idn-email": ("destination", "email"),
    "uri": ("destination", "url"), "url": ("destination", "url"), "iri": ("destination", "url"),
    "uri-reference": ("destination", "url"), "hostname": ("destination", "text"),
    "ipv4": ("destination", "text"), "ipv6": ("destination", "text"),
    "password": ("credential", "text"), "uuid": ("target", "id"), "date": ("selector", "date"),
    "date-time": ("selector", "date"), "binary": ("content", "text"), "byte": ("content", "text"),
}  # fmt: skip
_BY_WORD: Final[tuple[tuple[frozenset[str], str, str | None], ...]] = (
    (frozenset({"password", "passwd", "secret", "token", "credential", "credentials", "apikey",
                "otp", "passphrase", "pin"}), "credential", "text"),
    (frozenset({"command", "cmd", "script", "code", "sql", "shell", "program", "expression",
                "executable"}), "command", "text"),
    (frozenset({"email", "emails", "mail"}), "destination", "email"),
    (frozenset({"iban"}), "destination", "iban"),
    (frozenset({"phone", "mobile", "fax"}), "destination", "phone"),
    (frozenset({"url", "uri", "link", "href", "webhook", "callback", "endpoint"}),
     "destination", "url"),
    (frozenset({"to", "cc", "bcc", "recipient", "recipients", "participant", "participants",
                "invitee", "attendee", "attendees", "host", "hostname", "domain", "server",
                "destination", "payee", "collaborator", "address"}), "destination", None),
    (frozenset({"amount", "sum", "price", "total", "cost"}), "amount", "number"),
    (frozenset({"limit", "offset", "page", "cursor", "size", "timeout", "format", "verbose", "sort",
                "order", "locale", "language"}), "control", None),
    (frozenset({"id", "ids", "key", "uuid", "name", "user", "username", "account", "channel",
                "project", "repo", "repository", "ticket", "issue", "owner"}), "target", "id"),
    (frozenset({"path", "file", "filename", "folder", "directory", "dir"}), "target", "path"),
    (frozenset({"query", "search", "filter", "q", "term", "keyword", "state", "status", "category",
                "kind", "tag", "label", "since", "until", "start", "end", "date", "from"}),
     "selector", None),
    (frozenset({"body", "text", "content", "message", "subject", "title", "description", "comment",
                "note", "summary", "html", "markdown", "data", "caption"}), "content", "text"),
)  # fmt: skip
_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def words_of(name: str) -> tuple[str, ...]:
    """The words of `name`, lower case: `sendEmail_to` is send, email, to."""
    return tuple(word.lower() for word in _WORDS.findall(name))


def promised(name: str) -> str | None:
    """The effect that a tool's name promises: `read`, another, or None where it says nothing.

    A verb stands first, or behind an `and`; where neither is one, any word may be.
    """
    words = words_of(name)
    led = [word for at, word in enumerate(words) if at == 0 or words[at - 1] in _JOINS]
    found = [effect for word in led if (effect := _verb(word)) is not None]
    found = found or [effect for word in words if (effect := _verb(word)) is not None]
    return min(found, key=_GRAVEST.index, default=None)


def _verb(word: str) -> str | None:
    for effect, verbs in VERBS.items():
        if word in verbs:
            return effect
    return "read" if word in _READ else None


def guess_tool(tool: JsonObject) -> JsonObject:
    """The entry of a tool as `tools/list` gives it."""
    hints = as_object(tool.get("annotations"))
    reads = hints.get("readOnlyHint") is True and hints.get("destructiveHint") is not True
    return _entry(str(tool.get("name")), as_object(tool.get("inputSchema")), reads=reads)


def guess_operation(operation: ApiOperation) -> JsonObject:
    """The entry of an operation of an OpenAPI document."""
    name = operation.operation_id or operation.key.partition(" ")[2]
    return _entry(name, operation.schema, reads=operation.method in READING)


def _entry(name: str, schema: JsonObject, *, reads: bool) -> JsonObject:
    promise = promised(name)
    effect = "read" if reads and promise in (None, "read") else "execute"
    entry: JsonObject = {"effect": effect, "confirmed": False}
    arguments = guess_arguments(schema)
    return entry | {"arguments": arguments} if arguments else entry


def guess_arguments(schema: JsonObject) -> JsonObject:
    """A role for each argument of `schema`, by name or JSON pointer. Definitions within the
    schema are followed, nothing outside it."""
    found: JsonObject = {}
    _look(schema, schema, (), found)
    return found


def _look(schema: JsonObject, root: JsonObject, at: tuple[str, ...], found: JsonObject) -> None:
    for name, value in as_object(schema.get("properties")).items():
        if len(found) >= MAX_ARGUMENTS:
            return
        if not name or name == "*":
            continue  # no manifest can name it
        inner, path = _item_of(_local(value, root), root, (*at, name))
        if "properties" in inner and len(at) < MAX_DEPTH:
            _look(inner, root, path, found)
            continue
        role, kind = guess_role(name, inner)
        named = name if path == (name,) and argument_pointer(name) == "/" + name else _spelt(path)
        argument: JsonObject = {"role": role, "confirmed": False}
        found[named] = argument | ({"type": kind} if kind is not None else {})


def _item_of(
    schema: JsonObject, root: JsonObject, path: tuple[str, ...]
) -> tuple[JsonObject, tuple[str, ...]]:
    """A list is looked at by its items: of objects each item's fields, of others the list."""
    items = _local(schema.get("items"), root)
    if not items:
        return schema, path
    if "properties" in items:
        return items, (*path, "*")
    return items, path


def _local(value: Json, root: JsonObject) -> JsonObject:
    """A schema, its reference into `root` followed once; of several that may hold the first that
    is not null."""
    schema = as_object(value)
    target = schema.get("$ref")
    if isinstance(target, str) and target.startswith("#/"):
        found: Json = root
        for step in target[2:].split("/"):
            found = as_object(found).get(step)
        schema = as_object(found)
    for key in ("anyOf", "oneOf"):
        for option in as_list(schema.get(key)):
            if as_object(option).get("type") != "null" and "type" not in schema:
                return as_object(option)
    return schema


def _spelt(path: tuple[str, ...]) -> str:
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in path)


def guess_role(name: str, schema: JsonObject) -> tuple[str, str | None]:
    """The role and type of an argument by its format, its words, its type."""
    by_format = _BY_FORMAT.get(str(schema.get("format")))
    if by_format is not None:
        return by_format
    kind = schema.get("type")
    words = words_of(name.removeprefix("header."))
    for known, role, form in _BY_WORD:
        if known.isdisjoint(words):
            continue
        if kind == "boolean" or (kind in ("integer", "number") and role in _OF_TEXT):
            continue
        return role, "number" if kind in ("integer", "number") and form != "id" else form
    if kind == "boolean" or "enum" in schema:
        return "control", None
    return ("selector", "number") if kind in ("integer", "number") else ("target", None)


_OF_TEXT: Final = frozenset({"destination", "credential", "command", "content"})


def is_destination_like(name: str, schema: JsonObject) -> bool:
    """Whether an argument looks as if it named where something goes."""
    return guess_role(name, schema)[0] == "destination"
