"""`outrider inject`: what the webhook would make of pods, done to files."""

import difflib
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from outrider.cli.common import err, faults_in_words, plain
from outrider.config.injector import InjectedCapture, InjectorSettings, load_injector
from outrider.config.manifests import STREAM_BYTES, Document, as_yaml, read_manifests
from outrider.core.errors import ConfigError
from outrider.injector.plan import Entry, Plan
from outrider.injector.settled import plan_of
from outrider.injector.templates import Judged, Manifest, denied, injected

app = typer.Typer(help="Inject the sidecar into the pods of manifests.")
_STDIN: Final = "-"


@app.command()
def inject(  # noqa: PLR0913, PLR0917 - one parameter for each option
    file: Annotated[
        str, typer.Option("--file", "-f", help="Manifests, YAML or JSON; - reads standard input.")
    ],
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Namespace of manifests that name none."),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option("--settings", help="The injector's settings file.")
    ] = None,
    image: Annotated[
        str | None,
        typer.Option("--image", help="Image of the sidecar, in place of a settings file."),
    ] = None,
    dns_server: Annotated[
        list[str] | None,
        typer.Option("--dns-server", help="With --image: IP address of a DNS server of pods."),
    ] = None,
    labelled: Annotated[
        bool,
        typer.Option("--labelled", help="Only pods labelled outrider.dev/inject: enabled."),
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Print what changes, not the result.")] = (
        False
    ),
    explain: Annotated[
        bool, typer.Option("--explain", help="Say of each pod why, on standard error.")
    ] = False,
) -> None:
    """Print the manifests with the sidecar in their pods, as the webhook would in a namespace that
    is labelled `enabled`; other documents pass unchanged. Exit 2 where a pod would be denied:
    nothing is printed then but the reasons."""
    with faults_in_words():
        plan = _plan(settings, image, tuple(dns_server or ()))
        documents = read_manifests(_read(file))
        entry = Entry.POD if labelled else Entry.NAMESPACE
        manifests = tuple(_inject(one, plan, entry, namespace) for one in documents)
    _tell(manifests, explain=explain)
    refused = list(denied(manifests))
    for one in refused:
        _say(f"[bold red]denied[/] {plain(_line(one))}")
    if refused:
        raise typer.Exit(2)
    for document, manifest in zip(documents, manifests, strict=True):
        sys.stdout.write(_diff(document, manifest) if diff else _text(document, manifest))


def _inject(document: Document, plan: Plan, entry: Entry, namespace: str | None) -> Manifest:
    manifest = injected(document.value, plan, entry=entry, namespace=namespace)
    if manifest.is_changed and document.doubt is not None:
        raise ConfigError(document.doubt)
    return manifest


def _plan(settings: Path | None, image: str | None, dns_servers: tuple[str, ...]) -> Plan:
    if settings is not None and image is None and not dns_servers:
        return plan_of(load_injector(settings))
    if image is not None and settings is None:
        capture = InjectedCapture(dns_servers=dns_servers)
        return plan_of(InjectorSettings(image=image, capture=capture))
    raise ConfigError("give --settings FILE, the injector's own, or --image, one of the two")


def _read(file: str) -> str:
    """The text of `file`, bounded. Raises `ConfigError`."""
    try:
        if file == _STDIN:
            data = sys.stdin.buffer.read(STREAM_BYTES + 1)
        else:
            with Path(file).open("rb") as opened:
                data = opened.read(STREAM_BYTES + 1)
        if len(data) > STREAM_BYTES:
            raise ConfigError(f"{file}: larger than {STREAM_BYTES} bytes")
        return data.decode()
    except OSError as fault:
        raise ConfigError(f"{file}: cannot be read: {fault.strerror}") from fault
    except UnicodeDecodeError as fault:
        raise ConfigError(f"{file}: not UTF-8") from fault


def _tell(manifests: tuple[Manifest, ...], *, explain: bool) -> None:
    """Warnings always, the rest where it was asked for."""
    for manifest in manifests:
        for one in manifest.judged:
            if explain:
                _say(f"[bold]{one.verdict.outcome.value}[/] {plain(_line(one))}")
            warnings = (*one.verdict.warnings, *filter(None, [one.token_warning]))
            for warning in warnings:
                _say(f"[yellow]warning:[/] {plain(f'{one.name}: {warning}')}")


def _line(one: Judged) -> str:
    return f"{one.name}: {one.verdict.reason.value}: {one.verdict.message}"


def _say(markup: str) -> None:
    err.print(markup, soft_wrap=True)


def _text(document: Document, manifest: Manifest) -> str:
    return document.rewritten(manifest.value) if manifest.is_changed else document.text


def _diff(document: Document, manifest: Manifest) -> str:
    if not manifest.is_changed:
        return ""
    name = manifest.judged[0].name
    return "".join(
        difflib.unified_diff(
            as_yaml(document.value).splitlines(keepends=True),
            as_yaml(manifest.value).splitlines(keepends=True),
            fromfile=name,
            tofile=f"{name} (injected)",
        )
    )
