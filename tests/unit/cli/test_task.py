"""`outrider task`: what is asked of the control listener, and how its answers are told."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from outrider.cli import task as task_commands
from outrider.cli.client import ControlError
from outrider.core.jsonvalue import Json, JsonObject
from tests.support.command import outrider, write_settings

TASK: JsonObject = {
    "id": "tsk_1",
    "agent": "spiffe://acme.test/a",
    "state": "active",
    "purpose": "read [b]tickets",
    "template": "triage",
    "deadline": "2026-11-23T10:30:00.000000Z",
    "grant_revision": 2,
    "grant": {
        "tools": ["crm/*"],
        "effects": ["read"],
        "calls": 5,
        "spend": {"limit": "2.5", "unit": "usd"},
    },
    "budget": {
        "calls": {"used": 2, "limit": 5},
        "spend": {"used": 0.5, "limit": 2.5, "unit": "usd"},
        "tokens": {"used": 0, "limit": None},
    },
    "token": "a.b.c",
}
EVENTS: Json = [{"at": "now", "event": "registered", "by": "control:operator", "detail": None}]


class FakeControl:
    """A running sidecar's control listener, as the commands see it."""

    asked: list[tuple[str, str, Json]] = []  # noqa: RUF012 - reset by the fixture
    fault: ControlError | None = None
    tasks: Json = None

    def __init__(self, _: object) -> None:
        pass

    def _answer(self, method: str, path: str, body: Json = None) -> JsonObject:
        self.asked.append((method, path, body))
        if self.fault is not None:
            raise self.fault
        if path.endswith("/events"):
            return {"events": EVENTS}
        if path.endswith("/end"):
            return {**TASK, "state": "ended", "end": "cancelled"}
        return (
            {"tasks": [TASK] if self.tasks is None else self.tasks}
            if (method, path) == ("GET", "/v1/tasks")
            else dict(TASK)
        )

    def get(self, path: str) -> JsonObject:
        return self._answer("GET", path)

    def post(self, path: str, body: Json) -> JsonObject:
        return self._answer("POST", path, body)

    def patch(self, path: str, body: Json) -> JsonObject:
        return self._answer("PATCH", path, body)


@pytest.fixture(autouse=True)
def _running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeControl, "asked", [])
    monkeypatch.setattr(task_commands, "ControlClient", FakeControl)


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> Path:
    return write_settings(tmp_path)


def _asked() -> Any:
    return FakeControl.asked


def test_a_task_is_registered_with_what_was_given(config: Path, tmp_path: Path) -> None:
    grant = tmp_path / "grant.json"
    grant.write_bytes(orjson.dumps({"tools": ["crm/*"]}))
    words = ["--template", "triage", "--anchor", "a@b.example", "--anchor", "t-1"]
    words += ["--principal", "oidc:alice@corp", "--agent", "spiffe://acme.test/a", "--minutes", "5"]
    said = outrider("task", "start", "read", *words, "--grant", grant, "--config", config)
    assert said.code == 0, said.err
    ((method, path, body),) = _asked()
    assert (method, path) == ("POST", "/v1/tasks")
    assert body.pop("deadline").endswith("+00:00")
    assert body == {
        "purpose": "read",
        "anchors": ["a@b.example", "t-1"],
        "template": "triage",
        "agent": "spiffe://acme.test/a",
        "principal": "oidc:alice@corp",
        "grant": {"tools": ["crm/*"]},
    }
    assert "read [b]tickets" in said.out
    assert "2.5 usd" in said.out
    assert "Outrider-Task: tsk_1" in said.out
    assert "a.b.c" in said.out


def test_what_is_not_given_is_not_asked(config: Path) -> None:
    outrider("task", "start", "read", "--config", config)
    assert _asked() == [("POST", "/v1/tasks", {"purpose": "read", "anchors": []})]


def test_a_refusal_is_told_with_policys_reasons(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reasons: Json = [{"code": "TS-05", "message": "tools leave [red]its template"}]
    fault = ControlError("registering needs a person", {"reasons": reasons})
    monkeypatch.setattr(FakeControl, "fault", fault)
    said = outrider("task", "start", "read", "--config", config)
    assert said.code == 1
    assert "TS-05: tools leave [red]its template" in said.err
    assert "registering needs a person" in said.err


def test_a_task_is_shown_with_its_life(config: Path) -> None:
    said = outrider("task", "show", "tsk_1", "--events", "--config", config)
    assert said.code == 0
    assert [one[1] for one in _asked()] == ["/v1/tasks/tsk_1", "/v1/tasks/tsk_1/events"]
    assert "registered" in said.out
    assert "2 of 5" in said.out
    assert "0.5 of 2.5 usd" in said.out
    assert "used tokens" not in said.out
    shown = outrider("task", "show", "tsk_1", "--config", config, "--json").json
    assert (shown["id"], "events" in shown) == ("tsk_1", False)


@pytest.mark.parametrize("name", ["../status", "tsk_1/end", "tsk 1", "", "tsk_é"])
def test_only_an_id_stands_in_a_path(config: Path, name: str) -> None:
    said = outrider("task", "show", name, "--config", config)
    assert (said.code, _asked()) == (1, [])


def test_a_task_is_narrowed_to_what_a_file_says(config: Path, tmp_path: Path) -> None:
    grant = tmp_path / "grant.json"
    grant.write_bytes(b'{"effects": ["read"]}')
    said = outrider("task", "narrow", "tsk_1", grant, "--config", config)
    assert said.code == 0
    assert _asked() == [("PATCH", "/v1/tasks/tsk_1", {"grant": {"effects": ["read"]}})]


@pytest.mark.parametrize("content", [None, b"{"], ids=["missing", "no-json"])
def test_a_grant_that_cannot_be_read_asks_nothing(
    config: Path, tmp_path: Path, content: bytes | None
) -> None:
    grant = tmp_path / "grant.json"
    if content is not None:
        grant.write_bytes(content)
    said = outrider("task", "narrow", "tsk_1", grant, "--config", config)
    assert (said.code, _asked()) == (1, [])
    assert "grant.json" in said.err


def test_a_task_is_ended(config: Path) -> None:
    said = outrider("task", "end", "tsk_1", "--cancelled", "--config", config)
    assert said.code == 0
    assert _asked() == [("POST", "/v1/tasks/tsk_1/end", {"end": "cancelled"})]
    assert "tsk_1 ended: cancelled" in said.out
    assert outrider("task", "end", "tsk_1", "--config", config, "--json").json["state"] == "ended"


def test_tasks_are_listed(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = outrider("task", "list", "--config", config)
    assert "read [b]tickets" in said.out
    assert outrider("task", "list", "--config", config, "--json").json[0]["id"] == "tsk_1"
    monkeypatch.setattr(FakeControl, "tasks", [])
    assert "no task is under way" in outrider("task", "list", "--config", config).out
