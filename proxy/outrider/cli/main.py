"""`outrider`: one command a module; a module is imported only when its command is called."""

import importlib
import sys
from typing import Final

import typer

from outrider import __version__

COMMANDS: Final = {
    "run": ("outrider.cli.run", "Run the sidecar."),
    "init": ("outrider.cli.init", "Ask live MCP servers; write settings, manifest and grant."),
    "demo": ("outrider.cli.demo.main", "Show a governed agent at work, with real parts."),
    "config": ("outrider.cli.config", "Check, show and describe settings."),
    "policy": ("outrider.cli.policy", "Test, lint, index and build policy."),
    "bundle": ("outrider.cli.bundle", "Build, sign, verify and compare policy bundles."),
    "manifest": ("outrider.cli.manifest", "Check the manifest, prove its flows, draft one."),
    "opa": ("outrider.cli.opa", "Find or install Open Policy Agent."),
    "audit": ("outrider.cli.audit", "Verify, show and follow the audit chain."),
    "identity": ("outrider.cli.identity", "Show and follow our identity; check a peer's."),
    "agents": ("outrider.cli.agents", "Set agents seen against agents declared."),
    "pins": ("outrider.cli.pins", "List, compare and accept pinned tool definitions."),
    "task": ("outrider.cli.task", "Register, look at, narrow and end tasks."),
    "injector": ("outrider.cli.injector", "Run the Kubernetes webhook that injects the sidecar."),
    "inject": ("outrider.cli.inject", "Inject the sidecar into the pods of manifests."),
    "capture": ("outrider.cli.capture", "Verify that this pod's connections are captured."),
    "explain": (
        "outrider.cli.explain",
        "Say why a decision was made and what would change it.",
    ),
}
"""Name -> the module that has it, and the line that help shows for it."""


def _version(value: bool) -> None:
    if value:
        print(f"outrider {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and stop."
    ),
) -> None:
    """Outrider decides every action of an autonomous agent at the moment it is taken."""


def build(named: str | None) -> typer.Typer:
    """The command line: with the one command that is called, or with the names of all for help."""
    app = typer.Typer(
        no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, callback=_root
    )
    if named in COMMANDS:
        _mount(app, named, importlib.import_module(COMMANDS[named][0]).app)
        return app
    for name, (_, line) in COMMANDS.items():
        app.command(name=name, help=line)(_not_called)
    return app


def _mount(app: typer.Typer, name: str, module: typer.Typer) -> None:
    """A module with one command is that command; any other is a group of them."""
    commands = module.registered_commands
    single = len(commands) == 1 and not module.registered_groups
    callback = commands[0].callback if single and module.registered_callback is None else None
    if callback is not None:
        app.command(name=name, help=COMMANDS[name][1])(callback)
    else:
        app.add_typer(module, name=name)


def _not_called() -> None:
    """Stands in for a command that only has its name shown."""


def main() -> None:
    """The console script. Exit codes: 0 done, 1 failed, 2 wrong settings or arguments."""
    named = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    try:
        build(named)()
    except KeyboardInterrupt:
        sys.exit(130)
