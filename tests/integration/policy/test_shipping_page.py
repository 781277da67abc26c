"""What the page on shipping shows can be done: its settings are good, its commands are there."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from outrider.config.load import validate
from tests.support.command import outrider

PAGE = (Path(__file__).resolve().parents[3] / "rego" / "SHIPPING.md").read_text(encoding="utf-8")
SETTINGS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
LINES = [
    line
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for line in re.findall(r"^\$ (.*)$", block, re.MULTILINE)
]
COMMANDS = [
    shlex.split(part.strip())[1:]
    for line in LINES
    for part in line.split("&&")
    if part.strip().startswith("outrider ")
]


def test_there_is_something_to_hold() -> None:
    assert len(SETTINGS) == 2
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("text", SETTINGS, ids=range(len(SETTINGS)))
def test_its_settings_are_good(text: str) -> None:
    validate(yaml.safe_load(text))


@pytest.mark.parametrize("words", COMMANDS, ids=range(len(COMMANDS)))
def test_its_commands_are_there_with_their_options(words: list[str]) -> None:
    said = outrider(*words[:2], "--help")
    assert said.code == 0
    for option in (word for word in words if word.startswith("-") and not word.isdigit()):
        assert option in said.out
