"""`outrider pins`: what is pinned, what differs, and a person's acceptance."""

from pathlib import Path

import pytest

from outrider.cli import pins
from outrider.core.jsonvalue import Json, JsonObject
from tests.support.command import outrider, write_settings

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
PINS: list[Json] = [
    {
        "upstream": "crm",
        "kind": "tools",
        "name": "send",
        "state": "changed",
        "digest": A,
        "seen": B,
    },
    {"upstream": "crm", "kind": "tools", "name": "get", "state": "pinned", "digest": A, "seen": A},
    {"upstream": "mail", "kind": "tools", "name": "[b]x", "state": "pinned", "digest": None},
]
CHANGES: list[Json] = [{"member": "description", "before": None, "after": "ignore\x1b[2J all"}]


class FakeControl:
    """A running sidecar's control listener, as the commands see it."""

    posted: list[tuple[str, Json]] = []  # noqa: RUF012 - reset by the fixture
    changes: list[Json] = CHANGES
    pins: list[Json] = PINS
    new: str | None = None

    def __init__(self, _: object) -> None:
        pass

    def get(self, path: str, query: dict[str, str] | None = None) -> JsonObject:
        if path == "/v1/pins":
            return {"pins": self.pins}
        return {"changes": self.changes, "digest": B, "new": self.new}

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
    assert f"outrider pins accept crm send --digest {B[:19]}`" in said.out


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("added", "it was added"),
        ("long_description", "description is long"),
        ("invisible_characters", "invisible characters"),
        ("unreadable", "cannot be read"),
        ("later_word", "later_word"),
    ],
)
def test_what_was_never_accepted_is_told_as_new_with_why(
    config: Path, monkeypatch: pytest.MonkeyPatch, why: str, said: str
) -> None:
    monkeypatch.setattr(FakeControl, "new", why)
    told = outrider("pins", "diff", "crm", "send", "--config", config)
    assert told.code == 1
    assert "new, waits for a person: " in told.out
    assert said in told.out
    assert "(absent)" not in told.out


def test_no_difference_exits_0(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeControl, "changes", [])
    said = outrider("pins", "diff", "crm", "send", "--config", config)
    assert (said.code, said.out.strip()) == (0, "no difference")


@pytest.mark.parametrize(
    "words",
    [("send",), ("--all",), ("send", "--digest", B[:19]), ("send", "--digest", B)],
    ids=["one", "all", "reviewed", "reviewed-whole"],
)
def test_an_acceptance_names_the_digests_it_is_of(config: Path, words: tuple[str, ...]) -> None:
    said = outrider("pins", "accept", "crm", *words, "--config", config)
    assert (said.code, said.out.strip()) == (0, "accepted 1 definition")
    pins: list[Json] = [{"kind": "tools", "name": "send", "digest": B}]
    assert FakeControl.posted == [("/v1/pins/accept", {"upstream": "crm", "pins": pins})]


def test_what_is_accepted_already_is_not_sent(config: Path) -> None:
    said = outrider("pins", "accept", "crm", "get", "--config", config)
    assert (said.code, FakeControl.posted) == (0, [])
    assert "nothing to accept" in said.out


@pytest.mark.parametrize(
    ("words", "why"),
    [(("send", "--digest", A), "something else of send"), (("absent",), "no definition")],
    ids=["another-digest", "unknown"],
)
def test_what_was_not_reviewed_is_not_accepted(
    config: Path, words: tuple[str, ...], why: str
) -> None:
    said = outrider("pins", "accept", "crm", *words, "--config", config)
    assert said.code == 1
    assert why in said.err
    assert FakeControl.posted == []


def test_very_many_are_accepted_in_several_calls(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = {"upstream": "crm", "kind": "tools", "state": "pending", "digest": None, "seen": B}
    monkeypatch.setattr(FakeControl, "pins", [{**pin, "name": str(n)} for n in range(600)])
    said = outrider("pins", "accept", "crm", "--all", "--config", config, "--json")
    assert said.json == {"accepted": 3}
    assert len(FakeControl.posted) == 3


WRONG = [
    pytest.param(("crm",), id="neither"),
    pytest.param(("crm", "send", "--all"), id="both"),
    pytest.param(("crm", "--all", "--digest", B), id="all-of-one-digest"),
    pytest.param(("crm", "send", "--digest", "sha256:b"), id="short"),
]


@pytest.mark.parametrize("words", WRONG)
def test_all_is_never_accepted_by_leaving_a_name_out(config: Path, words: tuple[str, ...]) -> None:
    said = outrider("pins", "accept", *words, "--config", config)
    assert said.code == 2
    assert FakeControl.posted == []
