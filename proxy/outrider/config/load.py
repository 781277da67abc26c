"""From a YAML file and `OUTRIDER_…` variables to `Settings`: whole, or refused with every fault.

Laws: a fault names the key, the value and what is allowed; unknown and repeated keys are faults;
nothing is half-read. The only reader of the environment.
"""

import os
import re
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import TypeAdapter, ValidationError

from outrider.config.authorities import authority_faults
from outrider.config.checks import faults_of
from outrider.config.identity_checks import emptied_faults, endpoint_allowed, endpoint_of
from outrider.config.settings import Profile, Settings
from outrider.config.texts import Fault, text_faults
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject

PREFIX: Final = "OUTRIDER_"
NESTING: Final = 32
FILE_BYTES: Final = 1 << 20
SEPARATOR: Final = "__"
ENDPOINT_VARIABLE: Final = "SPIFFE_ENDPOINT_SOCKET"
OWN_VARIABLES: Final = frozenset({"OUTRIDER_CONFIG", "OUTRIDER_POD_UID", "OUTRIDER_CACHE"})
FETCHED_STALE_S: Final = 3600
_SHOWN: Final = 80
_WANTED: Final = {
    "tuple_type": "a list",
    "dataclass_type": "a mapping",
    "dict_type": "a mapping",
    "string_type": "text",
}
# What Kubernetes sets for each Service of a pod's namespace; one may be named outrider-something.
_SERVICE_LINK: Final = re.compile(
    r"OUTRIDER(_[A-Z0-9_]*[A-Z0-9])?"
    r"(_SERVICE_HOST|_SERVICE_PORT(_[A-Z0-9_]+)?"
    r"|_PORT(_[0-9]{1,5}_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
_POD_VARIABLE: Final = "KUBERNETES_SERVICE_HOST"
_USERINFO: Final = re.compile(r"//.*@", re.DOTALL)
_BRIEF: Final = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxstring = 2, _SHOWN
_ADAPTER: Final = TypeAdapter(Settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings with the folder that relative paths in them start from.

    `workload_api` is the gRPC target of the Workload API, where our identity comes from there.
    """

    settings: Settings
    base: Path
    source: Path | None
    pod_uid: str | None
    workload_api: str | None = None

    def path(self, name: str) -> Path:
        """`name` as a path: absolute as it is, else from the settings file's folder."""
        return self.base / Path(name).expanduser()

    def data(self, name: str) -> Path:
        """`name` under the data directory."""
        return self.path(self.settings.data_dir) / name


class _StrictLoader(yaml.SafeLoader):
    """YAML whose repeated keys are faults."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise ConfigError(f"line {line}: the key {key!r} is no text; quote it")
            if key in seen:
                raise ConfigError(f"line {line}: {key!r} stands twice; keep one")
            seen.add(key)
        return super().construct_mapping(node, deep)


def environment() -> Mapping[str, str]:
    """The process's environment; callers hand it to `load`."""
    return os.environ


def default_path(environ: Mapping[str, str]) -> Path | None:
    """The settings file named by `OUTRIDER_CONFIG`, if any."""
    named = environ.get("OUTRIDER_CONFIG")
    return Path(named) if named else None


def cache_dir(environ: Mapping[str, str]) -> Path:
    """Where downloaded and built tools are kept (`OUTRIDER_CACHE`, else the user's cache)."""
    named = environ.get("OUTRIDER_CACHE")
    if named:
        return Path(named)
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "outrider"


def load(path: Path | None, environ: Mapping[str, str]) -> Loaded:
    """Read `path` (None: defaults alone) with overrides from `environ`, and the files of CAs.

    Raises `ConfigError` whose text has one line for each fault.
    """
    document = {} if path is None else read_document(path)
    _override(document, environ)
    refuse(emptied_faults(document))
    base = path.resolve().parent if path is not None else Path.cwd()
    settings = validate(document)
    refuse(authority_faults(settings, base))
    return Loaded(
        settings=settings,
        base=base,
        source=path,
        pod_uid=environ.get("OUTRIDER_POD_UID") or None,
        workload_api=_workload_api(settings, environ),
    )


def read_document(path: Path) -> JsonObject:
    """The YAML mapping in the file at `path`. Raises `ConfigError`."""
    try:
        if path.stat().st_size > FILE_BYTES:
            raise ConfigError(f"{path}: larger than {FILE_BYTES} bytes")
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise ConfigError(f"{path}: cannot be read: {fault.strerror}") from fault
    except UnicodeDecodeError as fault:
        raise ConfigError(f"{path}: not UTF-8") from fault
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: is {_shown(document)}; give a mapping of settings")
    return document


def _workload_api(settings: Settings, environ: Mapping[str, str]) -> str | None:
    if settings.identity.source != "workload_api":
        return None
    address = settings.identity.workload_api.address or environ.get(ENDPOINT_VARIABLE)
    target = endpoint_of(address) if address else None
    if target is None:
        fault = Fault(
            key="identity.workload_api.address",
            value=address,
            allowed=f"{endpoint_allowed(address)}, here or as {ENDPOINT_VARIABLE}",
        )
        refuse((fault,))
    return target


def parse_yaml(text: str) -> Json:
    """One YAML document without repeated keys. Raises `ConfigError` with the line."""
    if _depth(text) > NESTING:
        raise ConfigError(f"not YAML that is read here: nested more than {NESTING} deep")
    try:
        value: Json = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark else 0
        raise ConfigError(f"line {line}: not YAML: {fault.problem}") from fault
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as fault:
        raise ConfigError("not YAML, or a value that is none, such as a 13th month") from fault
    return {} if value is None else value


def _depth(text: str) -> int:
    """The deepest nesting of brackets, those in text included: settings have no need of many."""
    depth = deepest = 0
    for char in text:
        if char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def validate(document: JsonObject) -> Settings:
    """`document` as settings. Raises `ConfigError`, one line a fault."""
    refuse(text_faults(document))
    try:
        settings = _ADAPTER.validate_python(document)
    except ValidationError as fault:
        raise ConfigError("\n".join(fault_lines(fault, schema()))) from fault
    refuse(faults_of(settings))
    return filled(settings)


def filled(settings: Settings) -> Settings:
    """`settings` with what their profile decides where nobody else did."""
    production = settings.profile is Profile.PRODUCTION
    audit, tasks, policy = settings.audit, settings.tasks, settings.policy
    if audit.inputs is None:
        # queries hold what agents asked with: in production kept only where somebody says so
        audit = replace(audit, inputs="digest" if production else "store")
    if tasks.required is None:
        tasks = replace(tasks, required=production)
    if policy.max_staleness_s is None:
        policy = replace(policy, max_staleness_s=FETCHED_STALE_S if policy.bundle.url else 0)
    if policy.signature.local is None:
        local: Literal["required", "unsigned"] = "required" if production else "unsigned"
        policy = replace(policy, signature=replace(policy.signature, local=local))
    return replace(settings, audit=audit, tasks=tasks, policy=policy)


def refuse(faults: Iterable[Fault]) -> None:
    """Raises `ConfigError` with a line for each of `faults`, if there are any."""
    lines = [_fault_line(fault) for fault in faults]
    if lines:
        raise ConfigError("\n".join(lines))


def schema() -> JsonObject:
    """The JSON Schema (2020-12) of the settings file."""
    found: JsonObject = _ADAPTER.json_schema()
    found["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    found["title"] = "Outrider settings"
    return found


def dump(settings: Settings) -> JsonObject:
    """`settings` with every default filled in, as JSON. Holds paths of secrets, never secrets."""
    shown: JsonObject = _ADAPTER.dump_python(settings, mode="json")
    return shown


def _override(document: JsonObject, environ: Mapping[str, str]) -> None:
    """Lay `OUTRIDER_LIMITS__BODY_BYTES=…` over `limits.body_bytes`; values are YAML."""
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in OWN_VARIABLES or name.startswith("OUTRIDER_TEST"):
            continue
        if _POD_VARIABLE in environ and _SERVICE_LINK.fullmatch(name):
            continue
        keys = name.removeprefix(PREFIX).lower().split(SEPARATOR)
        place = document
        for key in keys[:-1]:
            inner = place.setdefault(key, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"{name}: {'.'.join(keys[:-1])} is not a mapping; set it whole")
            place = inner
        place[keys[-1]] = parse_yaml(environ[name])


def fault_lines(
    fault: ValidationError, document_schema: JsonObject, shown_by: str = "outrider config schema"
) -> list[str]:
    """A line for each fault, sorted: key, value and what may stand there. `shown_by` is the command
    that prints the schema."""
    return sorted({_line(entry, document_schema, shown_by) for entry in fault.errors()})


def _line(entry: Any, document_schema: JsonObject, shown_by: str) -> str:  # noqa: ANN401 - pydantic's error dictionary
    key = ".".join(str(part) for part in entry["loc"] if part != "[key]")
    value = _shown(entry.get("input"))
    context = entry.get("ctx") or {}
    if (wanted := _WANTED.get(entry["type"])) is not None:
        return f"{key} is {value}; give {wanted}"
    match entry["type"]:
        case "unexpected_keyword_argument" | "extra_forbidden":
            return f"{key}: no such setting; see `{shown_by}`"
        case "greater_than_equal":
            return (
                f"{key} is {value}; give {context['ge']} or more{_other_end(key, document_schema)}"
            )
        case "less_than_equal":
            return (
                f"{key} is {value}; give {context['le']} or less{_other_end(key, document_schema)}"
            )
        case "literal_error" | "enum":
            return f"{key} is {value}; give one of {context['expected']}"
        case "string_pattern_mismatch":
            return f"{key} is {value}; give text like {context['pattern']}"
        case "missing":
            return f"{key}: missing; it has no default"
        case _:
            return f"{key} is {value}: {entry['msg'][0].lower()}{entry['msg'][1:]}"


def _other_end(key: str, document_schema: JsonObject) -> str:
    """The whole range of a numeric setting, from its schema."""
    node: Any = document_schema
    definitions = node.get("$defs", {})
    for part in key.split("."):
        node = definitions.get(str(node.get("$ref", "")).rpartition("/")[2], node)
        node = node.get("properties", {}).get(part) or node.get("additionalProperties") or {}
    if "minimum" in node and "maximum" in node:
        return f" (the range is {node['minimum']} to {node['maximum']})"
    return ""


def _fault_line(fault: Fault) -> str:
    return f"{fault.key} is {_shown(fault.value)}; {fault.allowed}"


def _shown(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, list | tuple | dict) and not value:
        return "empty"
    # A container may hold itself, or one value many times over: it is never written out whole.
    brief = _BRIEF.repr(value) if isinstance(value, list | dict) else repr(value)
    text = _USERINFO.sub("//…@", brief)  # a password may stand in a URL, though none belongs there
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
