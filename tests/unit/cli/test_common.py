"""What is shown is only ever text: no markup, no control characters, no half-told faults."""

import pytest
import typer

from outrider.cli.common import faults_in_words, plain
from outrider.core.errors import ConfigError
from tests.support.command import outrider


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("[bold]x[/]", "\\[bold]x\\[/]"),
        ("\x1b[31mred", "�\\[31mred"),
        ("a\r\nb", "a��b"),
        ("\u202egnp", "�gnp"),
    ],
)
def test_markup_and_control_characters_are_taken_out(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize("code", [1, 2])
def test_every_line_of_a_fault_is_told(code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, faults_in_words(code=code):
        raise ConfigError("first\nsecond [red]")
    assert caught.value.exit_code == code
    assert capsys.readouterr().err.splitlines() == ["error first", "error second [red]"]


def test_a_missing_settings_file_is_named() -> None:
    said = outrider("config", "check", "--config", "/nowhere/outrider.yaml")
    assert said.code == 2
    assert "/nowhere/outrider.yaml: cannot be read" in said.err
