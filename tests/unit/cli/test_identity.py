"""`outrider identity`: who we are, what becomes of it, and who a peer is; in words and as JSON."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest

from outrider.cli import identity
from outrider.cli.client import ControlError, NotRunningError, NotTakenError
from outrider.core.jsonvalue import Json, JsonObject
from tests.support.command import outrider, write_settings

OWN = "spiffe://acme.test/triage"
SVID: JsonObject = {
    "spiffe_id": OWN,
    "not_before": "2026-11-23T09:00:00.000000Z",
    "expires_at": "2026-11-23T10:00:00.000000Z",
    "remaining_s": 1800.0,
    "lifetime_s": 3600.0,
    "serial": "1f",
    "leaf_sha256": "ab" * 32,
    "key": "EC secp256r1",
    "chain": 2,
    "hint": None,
}
DOCUMENT: JsonObject = {
    "mark": "m0",
    "source": "workload_api",
    "address": "unix:/run/spire/agent.sock",
    "state": "serving",
    "since": "2026-11-23T09:00:01.000000Z",
    "note": None,
    "degraded": False,
    "spiffe_id": OWN,
    "proven": True,
    "instance": "start:0011223344556677",
    "svid": SVID,
    "generation": 1,
    "trust_domains": [
        {"name": "acme.test", "own": True, "x509_authorities": 2, "collisions": 0, "jwt_keys": 1},
        {"name": "b.test", "own": False, "x509_authorities": 1, "collisions": 1, "jwt_keys": 0},
    ],
    "last_contact": "2026-11-23T09:29:59.000000Z",
    "attested_local": {"enabled": True, "proves": "a shared namespace", "does_not_prove": "more"},
}
FINDING: JsonObject = {
    "peer": "crm.test:8443",
    "upstream": "crm",
    "address": "10.0.0.1",
    "ours": OWN,
    "accepted": True,
    "reason": "ok",
    "detail": None,
    "says": "it is who it says, and took our SVID",
    "next": "nothing is left to do",
    "tls": "TLSv1.3",
    "found": {
        "verified": True,
        "spiffe_id": "spiffe://acme.test/crm",
        "trust_domain": "acme.test",
        "key": "EC secp256r1",
        "serial": "2a",
        "not_before": "2026-11-23T09:00:00.000000Z",
        "expires_at": "2026-11-23T10:00:00.000000Z",
        "chain": [{"sha256": "cd" * 32, "expires_at": "2026-11-23T10:00:00.000000Z"}],
    },
    "bundle_known": True,
    "expected": ["spiffe://acme.test/crm"],
}


class FakeControl:
    """A running sidecar's control listener, as the commands see it."""

    document: ClassVar[JsonObject] = DOCUMENT
    finding: ClassVar[JsonObject] = FINDING
    then: ClassVar[list[JsonObject | BaseException]] = []
    asked: ClassVar[list[Any]] = []

    def __init__(self, _: object) -> None:
        pass

    def get(
        self, path: str, query: dict[str, str] | None = None, *, wait_s: float = 0.0
    ) -> JsonObject:
        assert path == "/v1/identity"
        if query is None:
            return self.document
        self.asked.append((query, wait_s))
        said = self.then.pop(0)
        if isinstance(said, BaseException):
            raise said
        return said

    def post(self, path: str, body: Json) -> JsonObject:
        self.asked.append((path, body))
        return self.finding


@pytest.fixture(autouse=True)
def _running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeControl, "asked", [])
    monkeypatch.setattr(identity, "ControlClient", FakeControl)
    monkeypatch.setattr(identity, "_AGAIN_S", 0.0)


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> Path:
    return write_settings(tmp_path)


@pytest.fixture(name="tells")
def _tells(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def tells(**changes: Any) -> None:
        monkeypatch.setattr(FakeControl, "document", DOCUMENT | changes)

    return tells


@pytest.fixture(name="becomes")
def _becomes(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What is said after the first document; then Ctrl-C."""

    def becomes(*said: dict[str, Any] | BaseException) -> None:
        then = [one if isinstance(one, BaseException) else DOCUMENT | one for one in said]
        monkeypatch.setattr(FakeControl, "then", [*then, KeyboardInterrupt()])

    return becomes


# --- show -----------------------------------------------------------------------------------


def test_who_we_are_is_shown_with_how_long_and_whom_we_can_verify(config: Path) -> None:
    said = outrider("identity", "show", "--config", config)
    assert said.code == 0
    for text in (
        OWN,
        "serving since 2026-11-23T09:00:01Z",
        "workload_api unix:/run/spire/agent.sock",
        "start:0011223344556677",
        "2026-11-23T10:00:00Z (1800 s left, 50 % of its life)",
        "acme.test (ours)",
        "b.test",
        "another trust domain's name and another key",
        "That proves a shared namespace; it does not prove more.",
    ):
        assert text in said.out


def test_as_json_it_is_what_the_sidecar_says(config: Path) -> None:
    said = outrider("identity", "show", "--config", config, "--json")
    assert (said.code, said.json) == (0, DOCUMENT)


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["table", "json"])
def test_without_a_valid_svid_it_exits_1_and_says_what_to_do(
    config: Path, tells: Callable[..., None], options: list[str]
) -> None:
    tells(state="redacted", svid=None, proven=False, trust_domains=[], note="redacted: restore it")
    said = outrider("identity", "show", "--config", config, *options)
    assert said.code == 1
    assert "redacted: restore it" in said.out


def test_without_a_source_the_id_is_said_to_be_unproven(
    config: Path, tells: Callable[..., None]
) -> None:
    tells(source="none", address=None, state=None, since=None, svid=None, proven=False,
          trust_domains=[], last_contact=None)  # fmt: skip
    said = outrider("identity", "show", "--config", config)
    assert said.code == 0
    assert "nothing: identity.source is none" in said.out
    assert "state" not in said.out


def test_without_attested_local_no_one_is_taken_by_place(
    config: Path, tells: Callable[..., None]
) -> None:
    tells(attested_local={"enabled": False, "proves": None, "does_not_prove": None})
    assert "is not taken without proof" in outrider("identity", "show", "--config", config).out


def test_what_others_chose_is_printed_as_text(config: Path, tells: Callable[..., None]) -> None:
    tells(svid=SVID | {"hint": "[red]x\x1b[2J"})
    said = outrider("identity", "show", "--config", config)
    assert "[red]x" in said.out
    assert "\x1b" not in said.out


# --- watch ----------------------------------------------------------------------------------


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def test_each_change_is_one_line_and_ctrl_c_ends_it_well(
    config: Path, becomes: Callable[..., None]
) -> None:
    becomes(
        {"svid": SVID | {"leaf_sha256": "cd" * 32}, "mark": "m1"},
        {"svid": SVID | {"leaf_sha256": "cd" * 32, "remaining_s": 5.0}, "mark": "m2"},
        {"state": "disconnected", "mark": "m3", "svid": SVID | {"leaf_sha256": "cd" * 32}},
        {"state": "redacted", "mark": "m4", "svid": None, "note": "redacted: restore it"},
    )
    said = outrider("identity", "watch", "--config", config)
    assert said.code == 0
    told = lines(said.out)
    assert len(told) == 4
    for line, words in zip(
        told,
        [
            ("serving", "now", OWN, "until 2026-11-23T10:00:00Z", "abababababab"),
            ("serving", "rotated", "cdcdcdcdcdcd"),
            ("disconnected", "state"),
            ("redacted", "state, SVID", "redacted: restore it"),
        ],
        strict=True,
    ):
        assert all(word in line for word in words), line
    assert [query["after"] for query, _ in FakeControl.asked] == ["m0", "m1", "m2", "m3", "m4"]
    assert {(query["wait"], wait_s) for query, wait_s in FakeControl.asked} == {("30", 30)}


def test_as_json_each_change_is_one_object_a_line(
    config: Path, becomes: Callable[..., None]
) -> None:
    becomes({"degraded": True, "note": "late"}, {"degraded": False})
    said = outrider("identity", "watch", "--config", config, "--json")
    told = [orjson.loads(line) for line in lines(said.out)]
    assert [one["what"] for one in told] == [["now"], ["degraded"], ["no longer degraded"]]
    assert all(one["spiffe_id"] == OWN and one["time"].endswith("Z") for one in told)


def test_a_watch_can_be_told_to_end(config: Path, becomes: Callable[..., None]) -> None:
    becomes({"trust_domains": []}, {"trust_domains": [{"name": "x"}]})
    said = outrider("identity", "watch", "--config", config, "--changes", "1")
    assert (said.code, len(lines(said.out))) == (0, 2)
    assert "trust bundles" in said.out


def test_a_sidecar_that_goes_away_is_said_once_and_found_again(
    config: Path, becomes: Callable[..., None]
) -> None:
    gone = NotRunningError("outrider is not running at x")
    becomes(gone, gone, ControlError("broken off"), {})
    told = lines(outrider("identity", "watch", "--config", config).out)
    assert len(told) == 3
    assert "lost" in told[1]
    assert "outrider is not running at x" in told[1]
    assert "found again" in told[2]


def test_without_a_sidecar_at_the_start_it_fails(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: object, __: str) -> JsonObject:
        raise NotRunningError("outrider is not running at x")

    monkeypatch.setattr(FakeControl, "get", gone)
    said = outrider("identity", "watch", "--config", config)
    assert (said.code, said.out) == (1, "")
    assert "is not running" in said.err


# --- check ----------------------------------------------------------------------------------


def test_a_good_peer_is_accepted_and_shown(config: Path) -> None:
    said = outrider("identity", "check", "crm", "--config", config)
    assert said.code == 0
    assert FakeControl.asked == [("/v1/identity/check", {"peer": "crm"})]
    for text in (
        "accepted crm, crm.test:8443: it is who it says",
        "spiffe://acme.test/crm",
        "10.0.0.1 TLSv1.3",
        "of acme.test: held",
        "serial 2a",
        "chain 0",
        "next: nothing is left to do",
    ):
        assert text in said.out
    assert "claim" not in said.out


REFUSED = FINDING | {
    "accepted": False,
    "upstream": None,
    "reason": "no_bundle",
    "says": "we hold no bundle of its trust domain",
    "detail": "a trust domain without a bundle",
    "next": "federate",
    "bundle_known": False,
    "expected": None,
    "found": {
        "verified": False,
        "spiffe_id": "spiffe://gone.test/[b]\x1b[2J",
        "trust_domain": None,
    },
}


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["table", "json"])
def test_a_bad_peer_exits_1_with_the_reason(
    config: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.setattr(FakeControl, "finding", REFUSED)
    said = outrider("identity", "check", "gone.test:1", "--config", config, *options)
    assert said.code == 1
    assert "no_bundle" in said.out
    assert "federate" in said.out
    assert "\x1b" not in said.out


def test_what_is_only_claimed_is_marked(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeControl, "finding", REFUSED)
    said = outrider("identity", "check", "gone.test:1", "--config", config)
    assert "(its own claim, not verified)" in said.out
    assert "not held" not in said.out
    assert "nobody in particular" in said.out


def test_a_peer_that_showed_nothing_is_told_without_a_certificate(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = REFUSED | {"found": None, "ours": None, "address": None, "detail": None}
    monkeypatch.setattr(FakeControl, "finding", finding)
    said = outrider("identity", "check", "gone.test:1", "--config", config)
    assert said.code == 1
    assert "nobody: no valid SVID" in said.out
    assert "certificate" not in said.out


def test_a_bundle_of_a_claimed_domain_that_we_lack_is_said(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: JsonObject = {"verified": False, "spiffe_id": "x", "trust_domain": "gone.test"}
    monkeypatch.setattr(FakeControl, "finding", REFUSED | {"found": shown})
    said = outrider("identity", "check", "gone.test:1", "--config", config)
    assert "of gone.test: not held" in said.out


def test_a_peer_that_names_nobody_exits_2(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object, **__: object) -> JsonObject:
        raise NotTakenError("give host:port")

    monkeypatch.setattr(FakeControl, "post", refuses)
    said = outrider("identity", "check", "nosuch", "--config", config)
    assert (said.code, said.out) == (2, "")
    assert "give host:port" in said.err


@pytest.mark.parametrize("state", ["redacted", "expired", "waiting"])
def test_without_an_svid_no_local_caller_is_said_to_be_taken(
    config: Path, tells: Callable[..., None], state: str
) -> None:
    tells(state=state, proven=False, svid=None)
    said = outrider("identity", "show", "--config", config)
    assert "is taken under our ID" not in said.out
    assert "no caller beside us is taken" in said.out


@pytest.mark.parametrize("command", [["show"], ["check", "crm"]], ids=["show", "check"])
def test_a_refusal_of_the_control_listener_is_said(
    config: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    def refuses(*_: object, **__: object) -> JsonObject:
        raise ControlError("identity.source is none")

    monkeypatch.setattr(FakeControl, "get", refuses)
    monkeypatch.setattr(FakeControl, "post", refuses)
    said = outrider("identity", *command, "--config", config)
    assert (said.code, said.out) == (1, "")
    assert "identity.source is none" in said.err
