"""`outrider policy`: tests, lint, index and bundle of a tree; what fails exits 1 by name."""

import hashlib
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from outrider.cli import policy
from outrider.config.paths import shipped_rego
from outrider.core.jsonvalue import JsonObject
from outrider.policy.release import load
from tests.support.command import outrider, write_settings
from tests.support.policy import write_tree

GOOD = 'package outrider\n\ndecision := {"effect": "deny"}\n'
TEST = "package outrider_test\n\ntest_it if data.outrider.decision.effect == {}\n"


@pytest.fixture(name="library")
def _library(tmp_path: Path) -> Path:
    return shutil.copytree(shipped_rego(), tmp_path / "rego")


def a_tree(tmp_path: Path, expected: str | None) -> Path:
    files: dict[str, str | bytes] = {"outrider/main.rego": GOOD}
    if expected is not None:
        files["outrider/main_test.rego"] = TEST.replace("{}", f'"{expected}"')
    return write_tree(tmp_path / "tree", files)


def test_tests_that_pass_exit_0_and_are_counted(tmp_path: Path) -> None:
    said = outrider("policy", "test", a_tree(tmp_path, "deny"), "--engine", "embedded")
    assert said.code == 0
    assert "1 passed, 0 failed on embedded" in said.out


def test_a_test_that_fails_is_named_and_exits_1(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    said = outrider(
        "policy", "test", a_tree(tmp_path, "allow"), "--engine", "embedded", "--junit", report
    )
    assert said.code == 1
    assert "test_it" in said.err
    root = ET.fromstring(report.read_text())  # noqa: S314 - our own
    assert (root.get("tests"), root.get("failures")) == ("1", "1")


def test_no_tests_are_a_failure(tmp_path: Path) -> None:
    said = outrider("policy", "test", a_tree(tmp_path, None), "--engine", "embedded", "--json")
    assert said.code == 1
    assert said.json["passed"] is False


def test_a_tree_that_is_not_there_exits_2() -> None:
    assert outrider("policy", "test", "/nowhere", "--engine", "embedded").code == 2


def test_an_opa_that_is_asked_for_and_not_here_exits_2(tmp_path: Path) -> None:
    config = write_settings(tmp_path, policy={"opa": {"binary": "no-such-opa"}})
    said = outrider(
        "policy", "test", a_tree(tmp_path, "deny"), "--engine", "opa", "--config", config
    )
    assert said.code == 2
    assert "no-such-opa" in said.err


def test_without_an_opa_the_embedded_engine_alone_is_tested(tmp_path: Path) -> None:
    config = write_settings(tmp_path, policy={"opa": {"binary": "no-such-opa"}})
    said = outrider("policy", "test", a_tree(tmp_path, "deny"), "--config", config)
    assert said.code == 0
    assert "on embedded" in said.out


def test_the_library_that_ships_is_clean() -> None:
    assert "nothing found" in outrider("policy", "lint").out


def test_lint_names_file_line_and_what_is_wrong(library: Path) -> None:
    place = library / "outrider" / "controls" / "payment" / "payment.rego"
    place.write_text(place.read_text() + "\nbad if http.send({}).status == 200\n")
    said = outrider("policy", "lint", library)
    assert said.code == 1
    assert "payment.rego:" in said.err
    assert "http.send" in said.err
    found = outrider("policy", "lint", library, "--json").json
    assert all({"check", "file", "line", "message"} == one.keys() for one in found)


def test_the_index_is_checked_and_written(library: Path) -> None:
    shutil.rmtree(library / "outrider" / "controls" / "payment")
    checked = outrider("policy", "index", "--check", library)
    written = outrider("policy", "index", library)
    again = outrider("policy", "index", "--check", library)
    assert (checked.code, written.code, again.code) == (1, 0, 0)
    assert "controls.rego is stale" in checked.err
    assert "payment" not in (library / "outrider" / "controls.rego").read_text()


def test_a_bundle_has_the_same_bytes_every_time(tmp_path: Path) -> None:
    first, second = tmp_path / "a.tar.gz", tmp_path / "b.tar.gz"
    said = outrider("policy", "build", "-o", first, "--json")
    outrider("policy", "build", "-o", second)
    assert first.read_bytes() == second.read_bytes()
    assert said.json["sha256"] == hashlib.sha256(first.read_bytes()).hexdigest()


def test_a_bundle_with_overlays_loads_as_the_tree_and_its_overlays(tmp_path: Path) -> None:
    place = tmp_path / "site.tar.gz"
    one = write_tree(tmp_path / "one", {"outrider/desk/data.yaml": "a: 1\n"})
    two = write_tree(tmp_path / "two", {"outrider/desk/data.yaml": "a: 2\n"})
    said = outrider(
        "policy", "build", "--overlay", one, "--overlay", two, "-o", place, "--json"
    ).json
    laid = load(shipped_rego(), (one, two))
    assert said["revision"] == laid.revision == load(place).revision
    assert load(place).data == laid.data


def test_a_tree_the_gate_refuses_is_not_built(tmp_path: Path) -> None:
    tree = write_tree(
        tmp_path / "tree",
        {"outrider/main.rego": 'package outrider\n\ndecision := http.send({"url": "http://x"})\n'},
    )
    said = outrider("policy", "build", tree, "-o", tmp_path / "out.tar.gz")
    assert said.code == 1
    assert not (tmp_path / "out.tar.gz").exists()


@pytest.mark.parametrize(("ready", "code"), [(True, 0), (False, 1)])
def test_the_status_tells_what_is_in_force_and_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ready: bool, code: int
) -> None:
    class FakeControl:
        def __init__(self, _: object) -> None:
            pass

        def get(self, path: str) -> JsonObject:
            missing: JsonObject = {} if ready else {"policy": "no policy is in force"}
            return {"ready": ready, "missing": missing, "policy": {"revision": "rev-1"}}

    monkeypatch.setattr(policy, "ControlClient", FakeControl)
    said = outrider("policy", "status", "--config", write_settings(tmp_path))
    assert said.code == code
    assert "rev-1" in said.out
    assert ("no policy is in force" in said.out) is not ready


@pytest.mark.parametrize(
    ("changed", "told"), [(True, "another policy is in force"), (False, "nothing changed")]
)
def test_going_back_is_asked_of_the_running_sidecar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: bool, told: str
) -> None:
    asked: list[tuple[str, JsonObject]] = []

    class FakeControl:
        def __init__(self, _: object) -> None:
            pass

        def post(self, path: str, body: JsonObject) -> JsonObject:
            asked.append((path, body))
            return {"changed": changed}

    monkeypatch.setattr(policy, "ControlClient", FakeControl)
    said = outrider("policy", "rollback", "41", "--config", write_settings(tmp_path))
    assert said.code == 0
    assert told in said.out
    assert asked == [("/v1/policy/rollback", {"sequence": 41})]


def test_nobody_goes_back_to_less_than_nothing(tmp_path: Path) -> None:
    said = outrider("policy", "rollback", "--config", write_settings(tmp_path), "--", "-1")
    assert said.code == 2
