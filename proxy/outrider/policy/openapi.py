"""Operations of an HTTP API from its OpenAPI document, 3.0 or 3.1 (GOVERNANCE §3).

Laws: a document says what there is to call and with which arguments, never what a call does: an
operation whose effect the manifest does not say is execute, unconfirmed; no reference leaves the
document; every part is bounded; what cannot be read refuses the whole, naming the operation.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.core.manifest_reader import is_template

MAX_OPERATIONS: Final = 2000
MAX_ARGUMENTS: Final = 200
MAX_HOPS: Final = 16
"""References followed one after the other, and schemas within `allOf` within each other."""
METHODS: Final = ("get", "head", "post", "put", "patch", "delete", "options")
FILE: Final = re.compile(r"openapi[A-Za-z0-9._-]{0,64}\.(?:json|yaml)")
"""What a document that lies beside a manifest is called; no engine takes it for data."""
_VERSION: Final = re.compile(r"3\.[01]\.\d{1,3}")
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f]{1,128}")
_KEY: Final = re.compile(r"[A-Z]+ /")
_JSON_TYPES: Final = ("application/json", "application/x-www-form-urlencoded")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiArgument:
    """One argument as policy knows it: a field of a header is `header.<name>`."""

    name: str
    schema: JsonObject
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOperation:
    """One operation: its key in the manifest, and what the document says of it.

    `array_fields` are those a query or form may repeat; `output` is the schema of its first
    answer of 2xx in JSON.
    """

    key: str
    operation_id: str | None
    arguments: tuple[ApiArgument, ...]
    array_fields: tuple[str, ...]
    output: JsonObject | None

    @property
    def method(self) -> str:
        return self.key.partition(" ")[0]

    @property
    def schema(self) -> JsonObject:
        """The arguments as one JSON Schema."""
        return {
            "type": "object",
            "properties": {one.name: one.schema for one in self.arguments},
            "required": [one.name for one in self.arguments if one.required],
        }


def read_openapi(document: Json, source: str) -> tuple[ApiOperation, ...]:
    """Every operation of `document`, in its order. Raises `ConfigError` under `source`."""
    reader = _Reader(as_object(document), source)
    return tuple(reader.operations())


class _Reader:
    """Reads one document; `fault` names the place."""

    def __init__(self, document: JsonObject, source: str) -> None:
        self._document = document
        self._source = source
        version = document.get("openapi")
        if not isinstance(version, str) or not _VERSION.fullmatch(version):
            raise ConfigError(f"{source}: openapi is {version!r}; give a document of 3.0 or 3.1")

    def operations(self) -> Iterator[ApiOperation]:
        paths = self._document.get("paths")
        if not isinstance(paths, dict):
            raise ConfigError(f"{self._source}: paths is missing")
        count = 0
        ids: set[str] = set()
        for path, value in paths.items():
            item = as_object(self._followed(value, f"paths.{path}"))
            for method in METHODS:
                if method not in item:
                    continue
                count += 1
                if count > MAX_OPERATIONS:
                    raise ConfigError(f"{self._source}: more than {MAX_OPERATIONS} operations")
                found = self._operation(method, path, item)
                if found.operation_id in ids:
                    raise self._fault(found.key, "its operationId stands twice")
                ids |= {found.operation_id} if found.operation_id else set()
                yield found

    def _operation(self, method: str, path: str, item: JsonObject) -> ApiOperation:
        key = f"{method.upper()} {path}"
        if not path.startswith("/") or " " in path or not is_template(path):
            raise self._fault(key, "its path is none that can be matched: whole segments, {name}")
        said = as_object(item[method])
        named = said.get("operationId")
        if named is not None and (not isinstance(named, str) or not _NAME.fullmatch(named)):
            raise self._fault(key, "its operationId is no short text")
        arguments, arrays = self._arguments(key, item, said)
        return ApiOperation(
            key=key,
            operation_id=named if isinstance(named, str) else None,
            arguments=arguments,
            array_fields=arrays,
            output=self._output(key, said),
        )

    def _arguments(
        self, key: str, item: JsonObject, said: JsonObject
    ) -> tuple[tuple[ApiArgument, ...], tuple[str, ...]]:
        found: dict[str, ApiArgument] = {}
        arrays: list[str] = []
        for parameter in self._parameters(key, item, said):
            name, place = parameter.get("name"), parameter.get("in")
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise self._fault(key, "a parameter has no name")
            if place == "cookie":
                continue  # an agent's cookies never leave
            spelt = f"header.{name.lower()}" if place == "header" else name
            schema = self._schema(parameter.get("schema"), key)
            if place == "query" and schema.get("type") == "array":
                arrays.append(spelt)
            required = parameter.get("required") is True
            found.setdefault(spelt, ApiArgument(name=spelt, schema=schema, required=required))
        for argument, is_list in self._body(key, said):
            found.setdefault(argument.name, argument)  # in both places: refused when it is called
            arrays += [argument.name] if is_list else []
        if len(found) > MAX_ARGUMENTS:
            raise self._fault(key, f"more than {MAX_ARGUMENTS} arguments")
        return tuple(found.values()), tuple(dict.fromkeys(arrays))

    def _parameters(self, key: str, item: JsonObject, said: JsonObject) -> list[JsonObject]:
        """Those of the path and the operation's own, which stand for one of the same name."""
        both: dict[tuple[Json, Json], JsonObject] = {}
        for listed in (item.get("parameters"), said.get("parameters")):
            for value in as_list(listed):
                parameter = as_object(self._followed(value, key))
                both[str(parameter.get("name")), str(parameter.get("in"))] = parameter
        return list(both.values())

    def _body(self, key: str, said: JsonObject) -> Iterator[tuple[ApiArgument, bool]]:
        """The fields of a body in JSON or as a form; one that is no object is called `body`."""
        body = as_object(self._followed(said.get("requestBody"), key))
        content = as_object(body.get("content"))
        kind = next((name for name in _JSON_TYPES if name in content), None)
        if kind is None:
            return
        schema = self._schema(as_object(content[kind]).get("schema"), key)
        fields = as_object(schema.get("properties"))
        needed = as_list(schema.get("required"))
        if not fields and schema.get("type", "object") != "object":
            yield ApiArgument(name="body", schema=schema, required=True), False
        for name, inner in fields.items():
            found = self._schema(inner, key)
            repeats = kind != _JSON_TYPES[0] and found.get("type") == "array"
            yield ApiArgument(name=name, schema=found, required=name in needed), repeats

    def _output(self, key: str, said: JsonObject) -> JsonObject | None:
        for status, value in as_object(said.get("responses")).items():
            if str(status).startswith("2"):
                answer = as_object(self._followed(value, key))
                content = as_object(as_object(answer.get("content")).get("application/json"))
                return self._schema(content["schema"], key) if "schema" in content else None
        return None

    # --- references ---

    def _schema(self, value: Json, key: str, hops: int = 0) -> JsonObject:
        """A schema with its own reference followed and its `allOf` laid together; what stands
        deeper is as written."""
        schema = as_object(self._followed(value, key))
        parts = as_list(schema.get("allOf"))
        if not parts:
            return schema
        if hops >= MAX_HOPS:
            raise self._fault(key, "allOf within allOf, too often")
        whole: JsonObject = {name: member for name, member in schema.items() if name != "allOf"}
        fields, needed = dict(as_object(schema.get("properties"))), as_list(schema.get("required"))
        for part in parts:
            found = self._schema(part, key, hops + 1)
            fields |= as_object(found.get("properties"))
            needed = [*needed, *as_list(found.get("required"))]
            whole.setdefault("type", found.get("type", "object"))
        return whole | {"properties": fields, "required": needed}

    def _followed(self, value: Json, key: str) -> Json:
        for _ in range(MAX_HOPS):
            target = as_object(value).get("$ref")
            if not isinstance(target, str):
                return value
            value = self._at(target, key)
        raise self._fault(key, "references lead on without end")

    def _at(self, target: str, key: str) -> Json:
        if not target.startswith("#/"):
            raise self._fault(key, f"{target!r} leaves the document")
        found: Json = self._document
        for step in target[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or name not in found:
                raise self._fault(key, f"{target!r} leads nowhere")
            found = found[name]
        return found

    def _fault(self, key: str, why: str) -> ConfigError:
        return ConfigError(f"{self._source}: {key}: {why}")


# --- into the manifest ------------------------------------------------------------------------


def expanded(
    upstream: JsonObject, read: Callable[[str], Json], where: str, guess: "Guess"
) -> JsonObject:
    """`upstream` with the operations of its `openapi` beside its own, and without that key.

    What `operations` says of one, under its "METHOD /template" or its operationId, stands. What
    it does not name is execute and unconfirmed, or as `guess` says where `openapi.guess` asks for
    it. `read` gives the document of a file's name. Raises `ConfigError` under `where`.
    """
    file, guesses = _asked(upstream["openapi"], where)
    found = read_openapi(read(file), f"{where}/{file}")
    said = dict(as_object(upstream.get("operations")))
    operations: JsonObject = {}
    for operation in found:
        own = _taken(said, operation, where)
        base: JsonObject = {}
        if "effect" not in own and "unwrap" not in own:
            base = guess(operation) if guesses else {"effect": "execute", "confirmed": False}
        if operation.operation_id is not None:
            base["operation_id"] = operation.operation_id
        if operation.array_fields:
            base["array_fields"] = [*operation.array_fields]
        operations[operation.key] = base | own
    for key in said:
        if not _KEY.match(key):
            raise ConfigError(f"{where}: operations.{key}: {file} has no such operationId")
    kept: JsonObject = {name: value for name, value in upstream.items() if name != "openapi"}
    return kept | {"operations": operations | said}


Guess = Callable[[ApiOperation], JsonObject]
"""The manifest's entry of an operation, as far as it can be guessed; unconfirmed."""


def _asked(value: Json, where: str) -> tuple[str, bool]:
    asked: Mapping[str, Json] = {"file": value} if isinstance(value, str) else as_object(value)
    file, guess = asked.get("file"), asked.get("guess", False)
    whole = isinstance(file, str) and isinstance(guess, bool) and asked.keys() <= {"file", "guess"}
    if not whole or not FILE.fullmatch(str(file)):
        raise ConfigError(
            f"{where}: openapi: give a file beside this one such as openapi.yaml, or "
            "{file: openapi.yaml, guess: true}"
        )
    return str(file), guess is True


def _taken(said: JsonObject, operation: ApiOperation, where: str) -> JsonObject:
    """What the manifest says of `operation`, taken out of `said`."""
    keys = [key for key in (operation.key, operation.operation_id) if key in said and key]
    if len(keys) > 1:
        raise ConfigError(f"{where}: operations: {operation.key} stands there twice")
    own = dict(as_object(said.pop(keys[0]))) if keys else {}
    known = {one.name for one in operation.arguments}
    for name in as_object(own.get("arguments")):
        if name.partition("/")[0] not in known and _first(name) not in known:
            raise ConfigError(f"{where}: operations.{keys[0]}.arguments.{name}: it has no such one")
    return own


def _first(pointer: str) -> str:
    """The argument that a JSON pointer leads into."""
    return pointer.split("/")[1].replace("~1", "/").replace("~0", "~") if "/" in pointer else ""
