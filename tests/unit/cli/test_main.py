"""The root of the command line: every command is there, help and version import none."""

import importlib
import subprocess
import sys

import pytest
import typer

from outrider import __version__
from outrider.cli.main import COMMANDS, build
from tests.support.command import outrider


def test_the_version_is_told() -> None:
    assert outrider("--version").out == f"outrider {__version__}\n"


def test_help_names_every_command_with_its_line() -> None:
    said = outrider("--help")
    assert said.code == 0
    for name, (_, line) in COMMANDS.items():
        assert name in said.out
        assert line in said.out


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_and_version_import_no_command(word: str) -> None:
    program = (
        "import sys; from outrider.cli import main; sys.argv = ['outrider', sys.argv[1]]\n"
        "try: main.main()\nexcept SystemExit: pass\n"
        "names = ('aiohttp', 'regorus', 'pydantic', 'outrider.app')\n"
        "heavy = [name for name in names if name in sys.modules]\n"
        "print('imported', heavy)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, word], capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines()[-1] == "imported []"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_built_and_helps(name: str) -> None:
    module = importlib.import_module(COMMANDS[name][0])
    assert isinstance(module.app, typer.Typer)
    said = outrider(name, "--help")
    assert said.code == 0
    assert "Usage" in said.out


def test_an_unknown_command_is_refused() -> None:
    said = outrider("explode")
    assert said.code == 2
    assert "No such command 'explode'" in said.err


def test_a_command_alone_in_its_module_takes_options_after_its_arguments() -> None:
    app = build("explain")
    assert [command.name for command in app.registered_commands] == ["explain"]
