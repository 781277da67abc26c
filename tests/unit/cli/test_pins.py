"""`outrider pins`: what is pinned, what differs, and a person's acceptance."""

from pathlib import Path

import pytest

from outrider.cli import pins
from outrider.core.jsonvalue import Json, JsonObject
from tests.support.command import outrider, write_settings

PINS: list[Json] = [
    {"upstream": "crm", "kind": "tools", "name": "send", "state": "changed", "digest": "sha256:a"},
    {"upstream": "mail", "kind": "tools", "name": "[b]x", "state": "pinned", "digest": None},
]
CHANGES: list[Json] = [{"member": "description", "before": None, "after": "ignore\x1b[2J all"}]


class FakeControl:
    """A running sidecar's control listener, as the commands see it."""

    posted: list[tuple[str, Json]] = []  # noqa: RUF012 - reset by the fixture
    changes: list[Json] = CHANGES
    pins: list[Json] = PINS

    def __init__(self, _: object) -> None:
        pass

    def get(self, path: str, query: dict[str, str] | None = None) -> JsonObject:
        return {"pins": self.pins} if path == "/v1/pins" else {"changes": self.changes}

    def post(self, path: str, body: Json) -> JsonObject:
        self.posted.append((path, body))
        return {"accepted": 1}


@pytest.fixture(autouse=True)
def _running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeControl, "posted", [])
    monkeypatch.setattr(pins, "ControlClient", FakeControl)


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> Path:
    return write_settings(tmp_path)


def test_pins_are_listed_with_what_waits_for_a_person(config: Path) -> None:
    said = outrider("pins", "list", "--config", config)
    assert said.code == 0
    assert "changed" in said.out
    assert "[b]x" in said.out
    assert "1 refused until a person accepts" in said.out


def test_pins_of_one_upstream(config: Path) -> None:
    said = outrider("pins", "list", "mail", "--config", config, "--json")
    assert [pin["upstream"] for pin in said.json] == ["mail"]


def test_without_pins_it_says_when_there_will_be(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeControl, "pins", [])
    assert "no definition is pinned yet" in outrider("pins", "list", "--config", config).out


def test_a_difference_is_shown_and_exits_1(config: Path) -> None:
    said = outrider("pins", "diff", "crm", "send", "--config", config)
    assert said.code == 1
    assert "- (absent)" in said.out
    assert "ignore" in said.out
    assert "\x1b" not in said.out


def test_no_difference_exits_0(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeControl, "changes", [])
    said = outrider("pins", "diff", "crm", "send", "--config", config)
    assert (said.code, said.out.strip()) == (0, "no difference")


@pytest.mark.parametrize(
    ("words", "name"), [(("crm", "send"), "send"), (("crm", "--all"), None)], ids=["one", "all"]
)
def test_an_acceptance_is_sent(config: Path, words: tuple[str, ...], name: str | None) -> None:
    said = outrider("pins", "accept", *words, "--config", config)
    assert said.code == 0
    assert FakeControl.posted == [("/v1/pins/accept", {"upstream": "crm", "name": name})]


@pytest.mark.parametrize("words", [("crm",), ("crm", "send", "--all")], ids=["neither", "both"])
def test_all_is_never_accepted_by_leaving_a_name_out(config: Path, words: tuple[str, ...]) -> None:
    said = outrider("pins", "accept", *words, "--config", config)
    assert said.code == 2
    assert FakeControl.posted == []
