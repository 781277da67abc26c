"""What README shows can be done: its settings are good, its commands and its links are there."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from outrider.config.load import validate
from tests.support.command import outrider

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    shlex.split(line, comments=True)
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in re.findall(r"^\$ outrider (.*)$", block, re.MULTILINE)
]
LINKS = re.findall(r"\]\(([^)#:]+)\)", README)


def test_there_is_something_to_hold() -> None:
    assert len(SETTINGS) >= 2
    assert len(COMMANDS) >= 10
    assert len(LINKS) >= 2


@pytest.mark.parametrize("text", SETTINGS, ids=range(len(SETTINGS)))
def test_the_settings_it_shows_are_good(text: str) -> None:
    validate(yaml.safe_load(text))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_commands_it_shows_are_there_with_their_options(words: list[str]) -> None:
    name = list(words[: 1 if words[0] in {"run", "explain", "demo", "inject"} else 2])
    said = outrider(*name, "--help")
    assert said.code == 0
    for option in (word.partition("=")[0] for word in words if word.startswith("--")):
        assert option in said.out


@pytest.mark.parametrize("link", sorted(set(LINKS)))
def test_what_it_links_to_is_there(link: str) -> None:
    assert (ROOT / link).is_file()
