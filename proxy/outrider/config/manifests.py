"""Kubernetes manifests: a stream of YAML documents, or one of JSON, read as kubectl reads them.

Laws: a document that is not changed goes out as the text it came in as, and the order stays; text
that looks like something else (`1:30`, `2026-01-01`, `on`) is what Kubernetes takes it for, and is
quoted when written; repeated keys, keys that are no text and endless aliases are faults.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
import yaml

from outrider.core import strict_json
from outrider.core.errors import ConfigError, MalformedError
from outrider.core.jsonvalue import Json
from outrider.core.strict_json import JsonLimits

STREAM_BYTES: Final = 32 << 20
NODES: Final = 500_000
DEPTH: Final = 64
_MARK: Final = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_HEAD: Final = re.compile(r"(?:---[ \t]*(?:#[^\n]*)?\r?\n)?(?:[ \t]*(?:#[^\n]*)?\r?\n)*")
_SILENT: Final = re.compile(r"(?:---)?(?:[ \t]*(?:[#%][^\n]*|\.\.\.[ \t]*)?\r?(?:\n|\Z))*")
_PLAIN: Final = re.compile(r"[A-Za-z/][\w./@-]*(?::[\w./@-]+)*", re.ASCII)
_PLAIN_KEY: Final = re.compile(r"-?(0|[1-9][0-9]*)|true|false|null", re.ASCII)
_TEXT_TAG: Final = "tag:yaml.org,2002:str"
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document: its text as it came, and its value; None where it says nothing."""

    text: str
    value: Json
    doubt: str | None = None
    """A key that readers take for different things; of no account unless the document is rewritten.
    """

    def rewritten(self, value: Json) -> str:
        """The text of `value` in this one's place, comments above it kept."""
        if self.text.lstrip().startswith(("{", "[")):
            option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
            return orjson.dumps(value, option=option).decode()
        found = _HEAD.match(self.text)
        head = found[0] if found else ""
        if self.text.startswith("---") and not head.startswith("---"):
            head = "---\n"  # what stood on its line goes with the rest
        return head + as_yaml(value)


def read_manifests(text: str) -> list[Document]:
    """The documents of `text` in order. Raises `ConfigError` naming the document and the line."""
    if text.lstrip().startswith("{"):
        try:
            value = strict_json.read(text.encode(), JsonLimits(nodes=NODES, key_bytes=4096))
        except MalformedError:
            pass  # a flow mapping of YAML's, or a fault that YAML's reader will name
        else:
            return [Document(text=text, value=value)]
    return [_document(place, piece) for place, piece in enumerate(_pieces(text), start=1)]


def as_yaml(value: Json) -> str:
    """`value` as YAML that every reader takes for the same, old and new."""
    written: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 20
    )
    return written


def _pieces(text: str) -> Iterator[str]:
    """The stream cut before each `---`: YAML forbids that line inside a document."""
    starts = [found.start() for found in _MARK.finditer(text)]
    if not starts or starts[0] != 0:
        starts.insert(0, 0)
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        if start < end:
            yield text[start:end]


def _document(place: int, text: str) -> Document:
    if _SILENT.fullmatch(text):
        return Document(text=text, value=None)
    loader = _Loader(text)
    try:
        value = loader.get_single_data()
    except yaml.MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark else 0
        raise ConfigError(f"document {place}, line {line}: not YAML: {fault.problem}") from fault
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as fault:
        raise ConfigError(f"document {place}: not YAML that can be read") from fault
    doubt = f"document {place}, {loader.doubt}" if loader.doubt else None
    return Document(text=text, value=_Copy(place).of(value, 0), doubt=doubt)


class _Copy:
    """A copy without shared parts: an alias counts as often as it stands."""

    def __init__(self, place: int) -> None:
        self._place = place
        self._left = NODES

    def of(self, value: Any, depth: int) -> Json:  # noqa: ANN401 - what YAML gave
        self._left -= 1
        if self._left < 0 or depth > DEPTH:
            raise ConfigError(
                f"document {self._place}: more than {NODES} values, or deeper than {DEPTH}"
            )
        if isinstance(value, dict):
            return {key: self.of(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.of(inner, depth + 1) for inner in value]
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise ConfigError(f"document {self._place}: holds what JSON cannot: {type(value).__name__}")


class _Loader(yaml.SafeLoader):
    """YAML 1.1 with the scalars of Kubernetes' reader; repeated keys are faults."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - yaml's own name, filled below

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.doubt: str | None = None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise _fault("a key is no text", key)
            if key.value in seen:
                raise _fault(f"{key.value!r} stands twice; keep one", key)
            seen.add(key.value)
            if key.tag != _TEXT_TAG:
                if _PLAIN_KEY.fullmatch(key.value) is None:
                    line = key.start_mark.line + 1
                    self.doubt = f"line {line}: the key {key.value!r} is no text; quote it"
                key.tag = _TEXT_TAG  # as every reader of Kubernetes' takes `1`, `true` and `null`
        return super().construct_mapping(node, deep)


def _fault(what: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, what, node.start_mark)


def _bool(loader: _Loader, node: yaml.ScalarNode) -> bool:
    return str(loader.construct_scalar(node)).lower() in {"y", "yes", "true", "on"}


def _octal(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node)).replace("_", "")
    return int(text, 8) if "o" in text else int(loader.construct_yaml_int(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _octal)
_Loader.add_constructor("tag:yaml.org,2002:bool", _bool)
for _tag, _pattern, _first in (
    ("merge", r"<<", "<"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    (
        "bool",
        r"y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF",
        "yYnNtTfFoO",
    ),
    (
        "int",
        r"[-+]?(0b[01_]+|0o[0-7_]+|0[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)",
        "-+0123456789",
    ),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(rf"^(?:{_pattern})$"),
        [*_first.replace("\0", ""), ""],
    )


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:  # each value in full
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(value) is not None and value.lower() not in _WORDS
    style = None if plain else "|" if "\n" in value else '"'
    return dumper.represent_scalar(_TEXT_TAG, value, style=style)


_Dumper.add_representer(str, _text)
