"""A release: one policy tree under one revision, its data read into what the proxy works with.

Laws: the revision names the content; policy and manifest are one revision; what is missing or
cannot be enforced refuses the whole release, naming file or key; the folder is the package.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Final

import orjson

from outrider.core.errors import ConfigError, OutriderError
from outrider.core.grant import Grant, parse_grant
from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.core.manifest import Manifest, parse_manifest
from outrider.core.ports import AgentEntry
from outrider.core.template import Templates, parse_templates
from outrider.policy import archive, bundle
from outrider.policy.ownership import lacking, refuse_lacking
from outrider.policy.signature import Signed
from outrider.policy.trust import Trust

TIERS: Final = ("low", "standard", "high")
STATUSES: Final = ("active", "quarantined", "offboarded")
_NEEDED: Final = ("owner", "tier", "environment", "status")
_PACKAGE: Final = re.compile(
    r"package\s+([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)\s*(#.*)?"
)
_METADATA_ID: Final = re.compile(r"#\s+id:\s*[\"']?([A-Za-z0-9_.-]{1,64})[\"']?\s*")
_SHORT: Final = 12
# The generated indexes stand beside the folders they name (POLICY §7).
INDEXES: Final[Mapping[str, frozenset[str]]] = {
    "outrider/controls.rego": frozenset({"outrider.controls"}),
    "outrider/rules.rego": frozenset({"outrider.rules"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Everything of one policy revision. `modules` are texts by file name, without tests.

    `data` is the whole base document (`{"outrider": …}`), the catalogue and the revision in it.
    `digest` is of the content, whatever the revision is called. `codes` are the declared reason
    codes. `fixtures` are the sample inputs the release ships. `lacking` is what of it nobody
    answers for, a line each. `signed` is what proves the bundle it was read from, where anything
    does; `as_signed` are its bytes where they are, as they stand, all of this release.
    """

    revision: str
    digest: str
    modules: Mapping[str, str]
    data: JsonObject
    manifest: Manifest
    agents: dict[str, AgentEntry]
    codes: frozenset[str]
    templates: Templates = field(default_factory=dict)
    fixtures: Mapping[str, JsonObject] = field(default_factory=dict)
    metadata: JsonObject = field(default_factory=dict)
    lacking: tuple[str, ...] = ()
    signed: Signed | None = None
    as_signed: bytes = b""

    @property
    def sequence(self) -> int | None:
        """Its place in the order of releases (`metadata.sequence`); None where it says none."""
        said = self.metadata.get("sequence")
        return said if isinstance(said, int) and not isinstance(said, bool) and said >= 0 else None


def load(
    place: Path | archive.Packed,
    overlays: Sequence[Path] = (),
    *,
    hosts: Mapping[str, str] | None = None,
    complete: bool = False,
    trust: Trust | None = None,
) -> Release:
    """The release at `place` (a directory or a `.tar.gz`) with `overlays` laid over it.

    `hosts` are the upstreams' configured `host:port`. With `complete` somebody must answer for all
    of it, as production requires (GOVERNANCE §10), and guesses count as unsaid. `trust` says what
    must be signed; without it nothing is looked at. Blocking: reads files. Raises `ConfigError`,
    of which `UnverifiedError` is one.
    """
    proofs: list[Signed | None] = []

    def judge(layer: Path | archive.Packed, files: Mapping[str, bytes]) -> None:
        proofs.append(trust.judge(layer, files) if trust is not None else None)

    tree = bundle.read(place, overlays, judge)
    digest = _digest(tree.files)
    own = bool(overlays) or (isinstance(place, Path) and place.is_dir())
    revision = _revision(tree.declared, digest, own=own)
    made = assemble(tree, revision=revision, digest=digest, hosts=hosts or {}, complete=complete)
    as_signed = b""
    if proofs[0] is not None and isinstance(place, archive.Packed) and not overlays:
        as_signed = place.content if _is_built(tree, made) else b""
    return replace(made, signed=proofs[0], as_signed=as_signed)


def _is_built(tree: bundle.Tree, release: Release) -> bool:
    """Whether an engine that reads the bundle itself finds there what was made of it here."""
    data = [name for name in tree.files if PurePosixPath(name).name in ("data.json", "data.yaml")]
    return data == ["data.json"] and orjson.loads(tree.files["data.json"]) == release.data


def built(
    place: Path, overlays: Sequence[Path] = (), *, sequence: int | None, revision: str | None
) -> Release:
    """The release that a builder makes of `place`, its manifest saying `sequence` and `revision`
    where those are given. Raises `ConfigError`."""
    tree = bundle.read(place, overlays)
    digest = _digest(tree.files)
    declared, data = dict(tree.declared), tree.data
    if sequence is not None:
        declared["metadata"] = {**as_object(declared.get("metadata")), "sequence": sequence}
    own = bool(overlays) or place.is_dir()
    if revision is not None:
        declared["revision"], own = revision, True
        outrider = {k: v for k, v in as_object(data.get(bundle.ROOT)).items() if k != "build"}
        data = {**data, bundle.ROOT: outrider}
    tree = replace(tree, declared=declared, data=data)
    named = _revision(declared, digest, own=own)
    return assemble(tree, revision=named, digest=digest, hosts={}, complete=False)


def assemble(
    tree: bundle.Tree, *, revision: str, digest: str, hosts: Mapping[str, str], complete: bool
) -> Release:
    """The release that `tree` makes under `revision`. Raises `ConfigError`."""
    check_packages({**tree.modules, **tree.tests})
    catalogue = catalogue_rows(tree.catalogue)
    outrider: JsonObject = dict(as_object(tree.data.get(bundle.ROOT)))
    _drop_made(outrider, catalogue, tree.declared)
    if catalogue:
        outrider["catalogue"] = catalogue
    outrider["build"] = {"revision": revision}
    missing = lacking(outrider)
    if complete:
        refuse_lacking(missing)
    return Release(
        revision=revision,
        digest=digest,
        modules=tree.modules,
        data={bundle.ROOT: outrider},
        manifest=_manifest(tree, outrider, hosts, guesses=not complete),
        agents=_agents(tree, outrider.get("agents")),
        lacking=missing,
        codes=_codes(tree.modules.values()) | frozenset(catalogue),
        templates=_templates(tree, outrider.get("templates")),
        fixtures=tree.fixtures,
        metadata=as_object(tree.declared.get("metadata")),
    )


def _drop_made(outrider: JsonObject, catalogue: JsonObject, declared: JsonObject) -> None:
    """Take out of `outrider` what only a loader makes; a bundle built by one carries it along.

    Raises `ConfigError` for any that is not what the files beside it make.
    """
    made: JsonObject = {
        "catalogue": catalogue or None,
        "build": {"revision": declared.get("revision")},
    }
    for name, expected in made.items():
        if name in outrider and outrider.pop(name) != expected:
            raise ConfigError(
                f"data.outrider.{name} is made by the loader, and this is not what it makes; "
                "remove it, or build the bundle again with this version"
            )


def bundle_bytes(release: Release) -> bytes:
    """The release as an OPA bundle: a tar.gz with the same bytes for the same release.

    `load` takes it again: what its data says of catalogue and revision also lies beside it, as do
    its sample inputs, by which it is tried wherever it goes.
    """
    declared: JsonObject = {
        "revision": release.revision,
        "roots": [bundle.ROOT],
        "rego_version": 1,
        "metadata": release.metadata,
    }
    files = {name: text.encode() for name, text in release.modules.items()}
    catalogue = as_object(release.data[bundle.ROOT]).get("catalogue")
    if catalogue:
        rows = orjson.dumps({"controls": catalogue}, option=orjson.OPT_SORT_KEYS)
        files["controls.yaml"] = rows  # JSON is YAML; OPA passes it over
    for name, fixture in release.fixtures.items():
        files[name] = orjson.dumps(
            fixture, option=orjson.OPT_SORT_KEYS
        )  # OPA passes these over too
    files["data.json"] = orjson.dumps(release.data, option=orjson.OPT_SORT_KEYS)
    files[".manifest"] = orjson.dumps(declared, option=orjson.OPT_SORT_KEYS)
    return archive.write_archive(files)


def package_of(name: str, text: str) -> tuple[str, int]:
    """The package a module names and the line it stands on, read before anything else is.

    Raises `ConfigError` where the first statement is not a plain `package a.b.c`.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        found = _PACKAGE.fullmatch(words)
        if found is None:
            break
        return found[1], number
    raise ConfigError(f"{name}: a module begins with `package` and a plain dotted name")


def check_packages(modules: Mapping[str, str]) -> None:
    """Ownership is by path: a module's package is its folder's, a test's may end in `_test`.

    Raises `ConfigError`: a stray `package outrider` would merge with the decision.
    """
    for name, text in modules.items():
        package, line = package_of(name, text)
        owned = ".".join(PurePosixPath(name).parent.parts)
        allowed = {owned, f"{owned}_test"} if name.endswith("_test.rego") else {owned}
        allowed |= INDEXES.get(name, frozenset())
        if package not in allowed:
            raise ConfigError(f"{name}:{line}: package {package} in the folder of {owned}")


def _digest(files: Mapping[str, bytes]) -> str:
    total = hashlib.sha256()
    for name in sorted(files):
        if name.endswith(("_test.rego", ".suite.yaml")):
            continue
        total.update(f"{len(name)}:{name}:{len(files[name])}:".encode())
        total.update(files[name])
    return total.hexdigest()


def _revision(declared: JsonObject, digest: str, *, own: bool) -> str:
    """A built bundle's own name; where files lie open or are laid over, the content's besides."""
    name = declared.get("revision", "")
    if not isinstance(name, str) or len(name) > 128 or not name.isascii():
        raise ConfigError(".manifest: revision is no ASCII string of at most 128 characters")
    if not own and name:
        return name
    return f"{name}+{digest[:_SHORT]}" if name else digest[:_SHORT]


def catalogue_rows(document: Json) -> JsonObject:
    """The rows of `controls.yaml` by id: an object by id, or a list of rows that carry theirs."""
    rows = document.get("controls", document) if isinstance(document, dict) else document
    if isinstance(rows, list):
        found: JsonObject = {}
        for row in rows:
            code = as_object(row).get("id")
            if not isinstance(code, str) or code in found:
                raise ConfigError(f"controls.yaml: a row without an id of its own: {code!r}")
            found[code] = row
        return found
    return as_object(rows)


def _codes(texts: Iterable[str]) -> frozenset[str]:
    """Ids that METADATA blocks declare."""
    found: set[str] = set()
    for text in texts:
        inside = False
        for raw in text.splitlines():
            line = raw.strip()
            inside = line.startswith("#") and (inside or line == "# METADATA")
            match = _METADATA_ID.fullmatch(line) if inside else None
            if match is not None:
                found.add(match[1])
    return frozenset(found)


def _manifest(
    tree: bundle.Tree, outrider: JsonObject, hosts: Mapping[str, str], *, guesses: bool
) -> Manifest:
    manifest, zones = outrider.get("manifest"), outrider.get("zones")
    try:
        return parse_manifest(manifest, zones, hosts=hosts, guesses=guesses)
    except OutriderError as fault:
        first = str(fault).partition(".")[0]
        folder = "zones" if first == "zones" else f"manifest/{first}"
        file = _data_file(tree, f"{bundle.ROOT}/{folder}")
        raise ConfigError(f"{file}data.outrider.manifest: {fault}") from fault


def _agents(tree: bundle.Tree, document: Json) -> dict[str, AgentEntry]:
    if document is None:
        return {}
    try:
        if not isinstance(document, dict):
            raise ConfigError("data.outrider.agents is no object by SPIFFE ID")
        return {name: _agent(name, entry) for name, entry in document.items()}
    except OutriderError as fault:
        raise ConfigError(f"{_data_file(tree, f'{bundle.ROOT}/agents')}{fault}") from fault


def _templates(tree: bundle.Tree, document: Json) -> Templates:
    try:
        return parse_templates(document)
    except OutriderError as fault:
        raise ConfigError(f"{_data_file(tree, f'{bundle.ROOT}/templates')}{fault}") from fault


def _data_file(tree: bundle.Tree, folder: str) -> str:
    """The data file of `folder`, or of the nearest one above it, and a colon."""
    for place in (PurePosixPath(folder), *PurePosixPath(folder).parents):
        for name in ("data.yaml", "data.json"):
            if str(place / name) in tree.files:
                return f"{place / name}: "
    return ""


def _agent(name: str, entry: Json) -> AgentEntry:
    where = f"data.outrider.agents[{name!r}]"
    if not isinstance(entry, dict) or not name or len(name) > 2048:
        raise ConfigError(f"{where} is no object under a SPIFFE ID")
    for key in _NEEDED:
        if not _word(entry, key, where):
            raise ConfigError(f"{where}: {key} is missing")
    for key, allowed in (("tier", TIERS), ("status", STATUSES)):
        if entry[key] not in allowed:
            raise ConfigError(f"{where}: {key} is {entry[key]!r}; give one of {', '.join(allowed)}")
    return AgentEntry(
        id=name,
        owner=_word(entry, "owner", where),
        sponsor=_word(entry, "sponsor", where),
        tier=_word(entry, "tier", where) or "",
        environment=_word(entry, "environment", where) or "",
        status=_word(entry, "status", where) or "",
        purpose=_word(entry, "purpose", where) or "",
        document=entry,
        grant=_grant(entry.get("grant"), where),
    )


def _word(entry: JsonObject, key: str, where: str) -> str | None:
    value = entry.get(key)
    if value is None or isinstance(value, str):
        return value
    raise ConfigError(f"{where}: {key} is {value!r}; give a string")


def _grant(document: Json, where: str) -> Grant | None:
    if document is None:
        return None
    return parse_grant(document, f"{where}.grant")
