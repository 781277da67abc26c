"""A policy tree read whole: modules, data and what stands beside them, or a `ConfigError`.

Laws: what is merged is what `opa -b` would merge (`*.rego`, `data.json`, `data.yaml`; a folder is
a path); no key twice; YAML is read as the JSON it stands for, and whatever YAML readers disagree
on is refused, so that every engine sees the same data.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, NoReturn, TypeAlias

import yaml

from outrider.core import strict_json
from outrider.core.errors import ConfigError, MalformedError
from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.policy.archive import Packed, read_whole, visible
from outrider.policy.bounds import check_bounds
from outrider.policy.manifest_guess import guess_operation
from outrider.policy.openapi import FILE, expanded
from outrider.policy.packs import SUFFIX, Pack, change_rules, unpack

ROOT: Final = "outrider"
_DATA_FILES: Final = frozenset({"data.json", "data.yaml"})
_MISNAMED: Final = frozenset({"data.yml", "data.jsonc"})
_BUILD: Final = "outrider/build/data.json"
_MANIFESTS: Final = (ROOT, "manifest")
_MAX_DEPTH: Final = 64
_MAX_NODES: Final = 500_000
JSON_LIMITS: Final = strict_json.JsonLimits(depth=_MAX_DEPTH, nodes=_MAX_NODES, key_bytes=1024)
_SAFE_INT: Final = 2**53 - 1

_INT: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][-+]?[0-9]+)?")
# Plain scalars on which readers of YAML disagree: they must be quoted or written plainly.
_AMBIGUOUS: Final = re.compile(
    r"(?i:y|n|yes|no|on|off)|[-+]?0[0-9_]+|[-+]?0[xob][0-9a-fA-F_]+|[-+]?[0-9][0-9_]*_[0-9_]*"
    r"|[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?|(?i:[-+]?\.inf|\.nan)"
)
_PLAIN: Final[Mapping[str, Json]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_TAGS: Final = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "merge", "value")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One policy tree, overlays laid over, read but not yet judged.

    `modules` and `tests` are Rego texts by file name; `data` is merged below `data`; `fixtures`
    are sample inputs by file name; `declared` is the first manifest found (`.manifest`);
    `catalogue` is `controls.yaml`; `files` are the bytes that make the content.
    """

    modules: Mapping[str, str]
    tests: Mapping[str, str]
    suites: Mapping[str, str]
    data: JsonObject
    fixtures: Mapping[str, JsonObject]
    declared: JsonObject
    catalogue: Json
    files: Mapping[str, bytes]


Judge: TypeAlias = Callable[[Path | Packed, Mapping[str, bytes]], None]
"""Told of each layer with all that lies there, before any of it is read; may raise."""


def read(
    place: Path | Packed, overlays: Sequence[Path] = (), judge: Judge = lambda _place, _files: None
) -> Tree:
    """Read `place` and lay each of `overlays` over it, in order.

    A file of an overlay replaces the file of the same name below it (a `data.json` also a
    `data.yaml`); files only one of them has stay. A `.yaml` file is a pack (`policy.packs`).
    Raises `ConfigError` naming the file, and whatever `judge` does.
    """
    files: dict[str, bytes] = {}
    packs: list[Pack] = []
    for layer in (place, *overlays):
        if isinstance(layer, Path) and layer.suffix == SUFFIX and layer.is_file():
            judge(layer, {})
            packs.append(unpack(layer.stem, read_yaml(_layer_text(layer), layer.name)))
            _lay_over(files, packs[-1].files)
            files[f"packs/{layer.name}"] = layer.read_bytes()
        else:
            whole = read_whole(layer)
            judge(layer, whole)
            _lay_over(files, _policy_files(visible(whole)))
    texts = {name: _text(name, content) for name, content in files.items()}
    modules = {name: text for name, text in texts.items() if name.endswith(".rego")}
    released = {name: text for name, text in modules.items() if not is_test(name)}
    tests = {name: text for name, text in modules.items() if is_test(name)}
    check_bounds(released)
    check_bounds(tests)
    data = _expanded(_merge(texts), texts)
    for pack in packs:
        change_rules(data, pack)
    return Tree(
        modules=released,
        tests=tests,
        suites={name: text for name, text in texts.items() if name.endswith(".suite.yaml")},
        data=data,
        fixtures=_fixtures(texts),
        declared=_object(".manifest", read_json(texts.get(".manifest", "{}"), ".manifest")),
        catalogue=read_yaml(texts.get("controls.yaml", ""), "controls.yaml"),
        files=files,
    )


def _layer_text(layer: Path) -> str:
    try:
        return _text(layer.name, layer.read_bytes())
    except OSError as fault:
        raise ConfigError(f"policy {layer} cannot be read: {fault.strerror}") from fault


def is_test(name: str) -> bool:
    """Whether a module is left out of what is released: a test, or what only tests use."""
    return name.endswith("_test.rego") or name.startswith("outrider/testing/")


def is_openapi(path: PurePosixPath) -> bool:
    """Whether a file is an OpenAPI document beside an upstream's manifest."""
    return path.parts[:2] == _MANIFESTS and len(path.parts) == 4 and bool(FILE.fullmatch(path.name))


def read_json(text: str, source: str) -> Json:
    """The JSON of `text`, strict: no key twice, no NaN, no integer beyond 2^53-1."""
    try:
        return strict_json.read(text.encode(), JSON_LIMITS)
    except MalformedError as fault:
        raise ConfigError(f"{source}: not usable as JSON: {fault.detail}") from fault


def read_yaml(text: str, source: str) -> Json:
    """The JSON value that `text` stands for. Raises `ConfigError` with file and line.

    Refused: a key twice, keys that are no strings, anchors, tags, and plain scalars that one
    reader takes for a string and another for a number or truth value (`yes`, `010`, `1_000`).
    """
    node = _composed(text, source)
    return None if node is None else _YamlReader(source).value(node, 0)


def read_document(text: str, source: str) -> Json:
    """A document that others wrote for other readers, JSON or YAML, as data to look things up in.

    As `read_yaml`, but a key or word that readers take for different things is its own text here.
    """
    node = _composed(text, source)
    return None if node is None else _ForeignReader(source).value(node, 0)


def _composed(text: str, source: str) -> yaml.Node | None:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.compose(text, Loader=loader)
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{source}{line}: not readable as YAML") from fault


class _YamlReader:
    """Turns one document's nodes into JSON values."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._seen: set[int] = set()

    def value(self, node: yaml.Node, depth: int) -> Json:
        self._admit(node, depth)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        return self._scalar(node) if isinstance(node, yaml.ScalarNode) else None

    def _admit(self, node: yaml.Node, depth: int) -> None:
        if id(node) in self._seen:
            self._refuse(node, "anchors and aliases are not used in policy data; write it out")
        self._seen.add(id(node))
        if node.tag not in _TAGS:
            self._refuse(node, "tags are not used in policy data")
        if depth > _MAX_DEPTH or len(self._seen) > _MAX_NODES:
            self._refuse(node, "nested too deeply, or too many values")

    def _mapping(self, node: yaml.MappingNode, depth: int) -> JsonObject:
        found: JsonObject = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, depth + 1)
            if not isinstance(key, str):
                self._refuse(key_node, f"the key {key!r} is no string; quote it")
            if key in found:
                self._refuse(key_node, f"the key {key!r} stands twice")
            found[key] = self.value(value_node, depth + 1)
        return found

    def _key(self, node: yaml.Node, depth: int) -> Json:
        return self.value(node, depth)

    def _scalar(self, node: yaml.ScalarNode) -> Json:
        text: str = node.value
        if node.style in ("'", '"', "|", ">"):
            return text
        if text in _PLAIN:
            return _PLAIN[text]
        if _AMBIGUOUS.fullmatch(text):
            self._refuse(node, f"{text!r} is read in two ways; quote it or write it plainly")
        if _INT.fullmatch(text):
            return _int(text, f"{self._source}:{node.start_mark.line + 1}")
        return self._float(node) if _FLOAT.fullmatch(text) else text

    def _float(self, node: yaml.ScalarNode) -> float:
        number = float(node.value)
        if not math.isfinite(number):
            self._refuse(node, f"{node.value} is beyond what a number can hold")
        return number

    def _refuse(self, node: yaml.Node, why: str) -> NoReturn:
        raise ConfigError(f"{self._source}:{node.start_mark.line + 1}: {why}")


class _ForeignReader(_YamlReader):
    """Reads what was not written for us: `200:` is the key "200", `yes` is a word."""

    def _key(self, node: yaml.Node, depth: int) -> Json:
        self._admit(node, depth)
        return node.value if isinstance(node, yaml.ScalarNode) else None

    def _scalar(self, node: yaml.ScalarNode) -> Json:
        text: str = node.value
        plain = node.style not in ("'", '"', "|", ">")
        large = len(text) > 15 and (_INT.fullmatch(text) or _FLOAT.fullmatch(text))
        return text if plain and (large or _AMBIGUOUS.fullmatch(text)) else super()._scalar(node)


def _int(word: str, source: str) -> int:
    if len(word) > 17 or abs(int(word)) > _SAFE_INT:
        raise ConfigError(f"{source}: integers lie within ±(2^53-1)")
    return int(word)


def _policy_files(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """What of a tree is policy. Rego outside `outrider/` is refused, but for OPA's own `system`."""
    kept: dict[str, bytes] = {}
    for name, content in files.items():
        path = PurePosixPath(name)
        if path.parts[0] == "system" or name == _BUILD:
            continue
        if path.name in _MISNAMED:
            raise ConfigError(f"{name}: OPA and Outrider read data.json and data.yaml only")
        if path.name.endswith(".rego"):
            if path.parts[0] != ROOT:
                raise ConfigError(f"{name}: modules lie below {ROOT}/")
            kept[name] = content
        elif _belongs(path):
            kept[name] = content
    return kept


def _belongs(path: PurePosixPath) -> bool:
    if path.name in _DATA_FILES:
        return len(path.parts) == 1 or path.parts[0] == ROOT
    if is_openapi(path):
        return True
    if path.parts[0] == "fixtures":
        return path.suffix in (".yaml", ".json")
    return str(path) in (".manifest", "controls.yaml") or path.name.endswith(".suite.yaml")


def _lay_over(files: dict[str, bytes], layer: Mapping[str, bytes]) -> None:
    folders = {
        PurePosixPath(name).parent for name in layer if PurePosixPath(name).name in _DATA_FILES
    }
    for name in [name for name in files if PurePosixPath(name).name in _DATA_FILES]:
        if PurePosixPath(name).parent in folders:
            del files[name]
    files.update(layer)


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise ConfigError(f"{name}: not UTF-8") from fault


def _merge(texts: Mapping[str, str]) -> JsonObject:
    data: JsonObject = {}
    for name in sorted(texts):
        path = PurePosixPath(name)
        if path.name not in _DATA_FILES:
            continue
        reader = read_json if path.suffix == ".json" else read_yaml
        value = reader(texts[name], name)
        if value is None:
            continue
        content = _object(name, value)
        for part in reversed(path.parent.parts):
            content = {part: content}
        _put(data, content, name, "data")
    stray = sorted(set(data) - {ROOT})
    if stray:
        raise ConfigError(f"policy data lies below data.{ROOT}; found data.{stray[0]}")
    return data


def _put(target: JsonObject, source: JsonObject, name: str, where: str) -> None:
    for key, value in source.items():
        here = f"{where}.{key}"
        if key not in target:
            target[key] = value
            continue
        present = target[key]
        if not isinstance(present, dict) or not isinstance(value, dict):
            raise ConfigError(f"{name}: {here} is given by another data file too")
        _put(present, value, name, here)


def _expanded(data: JsonObject, texts: Mapping[str, str]) -> JsonObject:
    """`data` with the operations of the OpenAPI documents that manifests name."""
    manifest = as_object(as_object(data.get(ROOT)).get("manifest"))
    for name, entry in manifest.items():
        if not isinstance(entry, dict) or "openapi" not in entry:
            continue
        folder = PurePosixPath(*_MANIFESTS, name)

        def document(file: str, folder: PurePosixPath = folder) -> Json:
            text = texts.get(str(folder / file))
            if text is None:
                raise ConfigError(f"{folder / file}: no such file, though the manifest names it")
            return read_document(text, str(folder / file))

        manifest[name] = expanded(entry, document, str(folder), guess_operation)
    return data


def _fixtures(texts: Mapping[str, str]) -> dict[str, JsonObject]:
    found: dict[str, JsonObject] = {}
    for name in sorted(texts):
        if name.startswith("fixtures/") and name.count("/") == 1:
            reader = read_json if name.endswith(".json") else read_yaml
            found[name] = _object(name, reader(texts[name], name))
    return found


def _object(name: str, value: Json) -> JsonObject:
    if not isinstance(value, dict):
        raise ConfigError(f"{name}: an object is wanted, this is {type(value).__name__}")
    return value
