"""`outrider explain`: from the sidecar, else from its files; told so that a person can act."""

from pathlib import Path

import orjson
import pytest

from outrider.audit.inputs import InputStore
from outrider.cli import explain
from outrider.config.paths import shipped_rego
from outrider.core.jsonvalue import JsonObject
from outrider.core.secret import Secret
from outrider.policy.release import load
from outrider.stores.keyfile import own_secret
from tests.support.audit import a_chain, a_record
from tests.support.command import outrider, write_settings

DECISION = "01939b2e-6c1a-7f00-8000-0000000000aa"


def a_room(tmp_path: Path, *, status: str = "suspended", kept: bool = True) -> Path:
    """Settings, a chain with one deny, and the query it was judged on."""
    query = load(shipped_rego()).fixtures["fixtures/mcp_send.yaml"]
    query["subject"]["properties"]["status"] = status  # type: ignore[index,call-overload]
    audit = tmp_path / "data" / "audit"
    audit.mkdir(parents=True)
    record = a_record(
        decision={
            "id": DECISION,
            "effect": "deny",
            "enforced": "deny",
            "reason": "policy",
            "revision": "rev-0",
        },
        action={"resource": "tickets/reply", "effect": "send"},
        provenance={"/to": {"label": "untrusted", "sources": ["evt_3#/items/0/body"]}},
        behaviour={"flags": ["untrusted_read"]},
    )
    (audit / "00000001.jsonl").write_bytes(b"".join(a_chain(record)))
    key = own_secret(tmp_path / "data" / "keys" / "inputs.key")
    if kept:
        store = InputStore(
            directory=audit / "inputs", key=Secret(key.reveal()[:32]), limit_bytes=1 << 20
        )
        store.append(DECISION, orjson.dumps(query))
        store.close()
    return write_settings(tmp_path, listeners={"control": {"addresses": ["127.0.0.1:1"]}})


def test_without_a_sidecar_it_is_explained_from_the_files(tmp_path: Path) -> None:
    said = outrider("explain", DECISION, "--config", a_room(tmp_path))
    assert said.code == 0
    assert "not running" in said.err
    for words in (
        "deny tickets/reply",
        "/to is untrusted evt_3#/items/0/body",
        "the task so far: untrusted read",
        "decided by EF-00",
        "outrider/judged.rego:",
        '✗ input.subject.properties.status == "active"',
        'input.subject.properties.status = "suspended"',
        'if the input /subject/properties/status were "active" instead of "suspended"',
        "the answer would be allow",
    ):
        assert words in said.out


def test_offline_asks_nobody(tmp_path: Path) -> None:
    said = outrider("explain", DECISION, "--offline", "--json", "--config", a_room(tmp_path))
    assert (said.code, said.err) == (0, "")
    assert said.json["change"]["to"] == "active"
    assert said.json["replayed"]["same"] is True


def test_a_policy_that_says_otherwise_by_now_is_told(tmp_path: Path) -> None:
    said = outrider("explain", DECISION, "--config", a_room(tmp_path, status="active"))
    assert "policy has changed since: it said deny under rev-0, it says allow" in said.out


def test_an_input_that_was_not_kept_is_told(tmp_path: Path) -> None:
    said = outrider("explain", DECISION, "--config", a_room(tmp_path, kept=False))
    assert said.code == 0
    assert "audit.inputs" in said.out


def test_a_decision_that_is_not_there_exits_1(tmp_path: Path) -> None:
    said = outrider("explain", "none", "--config", a_room(tmp_path))
    assert said.code == 1
    assert "no decision none is on the chain" in said.err


def test_without_the_key_it_says_whose_to_be(tmp_path: Path) -> None:
    config = a_room(tmp_path)
    (tmp_path / "data" / "keys" / "inputs.key").unlink()
    said = outrider("explain", DECISION, "--offline", "--config", config)
    assert said.code == 1
    assert "inputs.key: cannot be read" in said.err


def test_a_running_sidecar_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FakeControl:
        def __init__(self, _: object) -> None:
            pass

        def post(self, path: str, body: JsonObject) -> JsonObject:
            return {"asked": [path, body]}

    monkeypatch.setattr(explain, "ControlClient", FakeControl)
    said = outrider("explain", DECISION, "--json", "--config", write_settings(tmp_path))
    assert said.json == {"asked": ["/v1/explain", {"decision_id": DECISION}]}


def test_an_attackers_words_are_shown_as_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "[bold]x[/]\x1b[2J"

    class FakeControl:
        def __init__(self, _: object) -> None:
            pass

        def post(self, path: str, body: JsonObject) -> JsonObject:
            return {
                "record": {"enforced": "deny", "resource": evil, "subject": evil},
                "summary": evil,
                "failed": [{"text": evil, "values": [{"name": evil, "value": evil}]}],
                "change": {"document": "input", "pointer": evil, "from": evil, "to": evil},
            }

    monkeypatch.setattr(explain, "ControlClient", FakeControl)
    said = outrider("explain", DECISION, "--config", write_settings(tmp_path))
    assert said.code == 0
    assert "[bold]x[/]" in said.out
    assert "\x1b" not in said.out
