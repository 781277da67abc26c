"""`outrider bundle`: build, sign, verify and compare the bundles that policy is delivered in."""

import hashlib
from pathlib import Path
from typing import Annotated

import orjson
import typer

from outrider.app.delivery import trust_of
from outrider.cli.common import (
    ConfigOption,
    JsonOption,
    err,
    faults_in_words,
    out,
    plain,
    print_json,
    print_table,
    settings,
)
from outrider.config.paths import shipped_rego
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json
from outrider.policy.archive import SIGNATURES, Packed, read_whole, write_archive
from outrider.policy.bundle_keys import ALGORITHMS, read_private, read_public
from outrider.policy.comparison import Difference, Part, differences
from outrider.policy.gate import shipped_gate
from outrider.policy.release import Release, built, bundle_bytes, load
from outrider.policy.signature import sign as signature_of
from outrider.policy.trust import Trust
from outrider.stores.keyfile import read_password

app = typer.Typer(no_args_is_help=True, help="Build, sign, verify and compare policy bundles.")

ENTRYPOINT = "data.outrider.decision"
SCOPE = "outrider"
KEY_ID = "release"
_SHOWN = 200
_SHOWN_VALUE = 60

Bundle = Annotated[Path, typer.Argument(help="A bundle (.tar.gz), or a folder.")]
Scope = Annotated[str, typer.Option(help="The scope of the signature; empty for none.")]
Algorithm = Annotated[
    str | None, typer.Option(help=f"One of {', '.join(ALGORITHMS)} (default: by the kind of key).")
]


@app.command()
def build(  # noqa: PLR0913, PLR0917 - its options
    path: Annotated[
        Path | None, typer.Argument(help="Folder of the policy (default: the library that ships).")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path(
        "bundle.tar.gz"
    ),
    overlay: Annotated[
        list[Path] | None,
        typer.Option(help="Folder, bundle or pack laid over it; may be repeated."),
    ] = None,
    sequence: Annotated[
        int | None,
        typer.Option(min=0, max=2**53 - 1, help="Place in the order of releases; never less."),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Name before the content's digest, such as a git id.")
    ] = None,
    entrypoint: Annotated[str, typer.Option(help="What is asked for a decision.")] = ENTRYPOINT,
    as_json: JsonOption = False,
) -> None:
    """Write a policy as one bundle, without its tests: the same bytes for the same input.

    What a sidecar would refuse to load is refused here.
    """
    with faults_in_words(code=1):
        release = built(path or shipped_rego(), overlay or (), sequence=sequence, revision=revision)
        shipped_gate(shipped_rego(), entrypoint)(release)
        content = bundle_bytes(release)
        _write(output, content)
    _say("written", output, content, release, as_json=as_json)


@app.command()
def sign(  # noqa: PLR0913, PLR0917 - its options
    bundle: Bundle,
    key: Annotated[Path, typer.Option(help="PEM file of the private key, for you alone (0600).")],
    key_id: Annotated[str, typer.Option(help="The id sidecars know the key by.")] = KEY_ID,
    algorithm: Algorithm = None,
    scope: Scope = SCOPE,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write (default: in place).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Sign every file of a bundle as OPA does; a signature that was there is replaced."""
    with faults_in_words(code=1):
        private = read_private(key_id, algorithm, read_password(key))
        files = read_whole(bundle)
        files[SIGNATURES] = signature_of(files, private, scope)
        folder = bundle.is_dir()
        if folder and output is not None:
            raise ConfigError(f"{bundle}: a folder is signed in place; leave --output out")
        target = output or bundle
        content = files[SIGNATURES] if folder else write_archive(files)
        if not folder:
            place: Path | Packed = Packed(name=str(bundle), content=content)
        else:
            _write(target / SIGNATURES, content)
            place = bundle
        trust = Trust(keys=lambda: {key_id: private.verifying}, scope=scope, local=True)
        release = load(place, trust=trust)
        if not folder:
            _write(target, content)
    if release.sequence is None:
        err.print(
            "[yellow]note[/] it has no sequence, and no sidecar fetches one without: "
            "`outrider bundle build --sequence`",
            soft_wrap=True,
        )
    _say("signed", target, content, release, as_json=as_json)


@app.command()
def verify(  # noqa: PLR0913, PLR0917 - its options
    bundle: Bundle,
    key: Annotated[
        Path | None, typer.Option(help="PEM file of the public key (default: those of settings).")
    ] = None,
    key_id: Annotated[str, typer.Option(help="The id of that key.")] = KEY_ID,
    algorithm: Annotated[str, typer.Option(help="What that key signs with.")] = "ES256",
    scope: Scope = SCOPE,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a bundle as a sidecar does, by a key or by its settings; exit 1 with what is wrong."""
    with faults_in_words(code=1):
        if key is None:
            trust = trust_of(settings(config), strict=True)
        else:
            public = read_public(key_id, algorithm, _read(key))
            trust = Trust(keys=lambda: {key_id: public}, scope=scope, local=True)
        release = load(bundle, trust=trust)
        content = b"" if bundle.is_dir() else bundle.read_bytes()
    _say("verified", bundle, content, release, as_json=as_json)


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="A bundle (.tar.gz), or a folder.")],
    new: Annotated[Path, typer.Argument(help="The other one.")],
    as_json: JsonOption = False,
) -> None:
    """Say what differs between two bundles: manifest, rules, data; signatures are not looked at."""
    with faults_in_words(code=1):
        before, after = load(old), load(new)
    found = differences(before, after)
    if as_json:
        rows: list[Json] = [one.document() for one in found]
        print_json({"same": not found, "differences": rows})
        return
    if not found:
        out.print("[bold green]same[/] nothing differs")
        return
    print_table(
        f"{plain(before.revision)} → {plain(after.revision)}",
        ("Part", "What", "Change", "Before", "After"),
        [_row(one) for one in found[:_SHOWN]],
    )
    if len(found) > _SHOWN:
        out.print(f"and {len(found) - _SHOWN} more: --json has them all")


def _row(one: Difference) -> tuple[str, ...]:
    before, after = _shown(one.before), _shown(one.after)
    if one.part is Part.RULE:
        before = f"-{one.before} lines" if one.before is not None else ""
        after = f"+{one.after} lines" if one.after is not None else ""
    return (one.part.value, one.name, one.change.value, before, after)


def _shown(value: Json) -> str:
    if value is None:
        return ""
    text = orjson.dumps(value).decode()
    return text if len(text) <= _SHOWN_VALUE else text[:_SHOWN_VALUE] + "…"


def _say(verb: str, place: Path, content: bytes, release: Release, *, as_json: bool) -> None:
    digest = hashlib.sha256(content).hexdigest() if content else None
    signed = release.signed
    if as_json:
        print_json(
            {
                "file": str(place),
                "revision": release.revision,
                "sequence": release.sequence,
                "sha256": digest,
                "key": signed.key if signed is not None else None,
                "scope": signed.scope if signed is not None else None,
            }
        )
        return
    facts = [f"revision {plain(release.revision)}"]
    if release.sequence is not None:
        facts.append(f"sequence {release.sequence}")
    if signed is not None:
        facts.append(f"key {plain(signed.key)}, scope {plain(signed.scope) or 'none'}")
    if digest is not None:
        facts.append(f"{len(content)} bytes, sha256 {digest}")
    out.print(f"[bold green]{verb}[/] {plain(str(place))}: {', '.join(facts)}", soft_wrap=True)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise ConfigError(f"{path}: cannot be read: {fault.strerror}") from fault


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as fault:
        raise ConfigError(f"{path}: cannot be written: {fault.strerror}") from fault
