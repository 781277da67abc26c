"""`outrider agents list`: who spoke here against who is declared."""

from pathlib import Path
from typing import Any

import pytest

from outrider.cli import agents
from outrider.core.jsonvalue import JsonObject
from tests.support.command import Said, outrider, write_settings

SEEN: Any = {"last": "2026-11-23T09:30:00Z", "exchanges": 1}
KNOWN: Any = {
    "id": "spiffe://a.test/one",
    "owner": "team[b]",
    "sponsor": "alice",
    "status": "active",
    "review_by": "2026-11-20",
    "overdue_s": 2 * 86_400 + 5,
    "marks": ["overdue"],
    "seen": SEEN,
}
STRANGER: Any = {"id": "spiffe://a.test/new", "marks": ["unknown"], "seen": SEEN}
GONE: Any = {
    "id": "spiffe://a.test/old", "status": "offboarded", "marks": ["offboarded"], "seen": None,
}  # fmt: skip


def told(
    rows: list[Any], room: Path, monkeypatch: pytest.MonkeyPatch, *words: str, forgotten: int = 0
) -> Said:
    class FakeControl:
        """A running sidecar's control listener, as the command sees it."""

        def __init__(self, _: object) -> None:
            pass

        def get(self, path: str) -> JsonObject:
            assert path == "/v1/agents"
            return {"agents": rows, "forgotten": forgotten}

    monkeypatch.setattr(agents, "ControlClient", FakeControl)
    return outrider("agents", "list", *words, "--config", write_settings(room))


def test_known_agents_are_listed_with_what_is_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = told([KNOWN, GONE], tmp_path, monkeypatch, forgotten=3)
    assert said.code == 0
    for word in ("team[b]", "alice", "2026-11-20 (3 d late)", "never", "2026-11-23T09:30:00Z"):
        assert word in said.out
    assert "overdue: its review is overdue" in said.out
    assert "3 more were seen and are forgotten" in said.out


@pytest.mark.control("GV-01")
@pytest.mark.parametrize(
    "row", [STRANGER, GONE | {"seen": SEEN}], ids=["nobody-declared", "who-is-out"]
)
def test_who_should_not_have_spoken_here_fails(
    row: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = told([KNOWN, row], tmp_path, monkeypatch)
    assert said.code == 1
    assert f"{row['marks'][0]}:" in said.out


def test_json_is_what_the_sidecar_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = told([KNOWN], tmp_path, monkeypatch, "--json")
    assert said.json == {"agents": [KNOWN], "forgotten": 0}
