"""`outrider injector`: settings in words, faults by name, the resolver's servers."""

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from outrider.cli.injector import app, nameservers
from tests.support.injector_process import IMAGE


def called(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, result.stdout, result.stderr


def a_file(tmp_path: Path, text: str) -> str:
    file = tmp_path / "injector.yaml"
    file.write_text(text)
    return str(file)


def test_settings_in_force_are_printed_under_the_files_keys(tmp_path: Path) -> None:
    code, out, _ = called("check", "--settings", a_file(tmp_path, f"image: {IMAGE}\n"))
    shown = orjson.loads(out)
    assert (code, shown["image"], shown["optOut"]) == (0, IMAGE, {"namespaces": []})


@pytest.mark.parametrize("command", ["check", "run"])
def test_every_fault_is_named_before_anything_is_started(tmp_path: Path, command: str) -> None:
    file = a_file(tmp_path, "image: x\nrevision: A\noptOt: {}\n")
    code, _, err = called(command, "--settings", file)
    assert code == 2
    assert "revision is 'A'" in err
    assert "optOt: no such setting; see `outrider injector schema`" in err


def test_settings_that_no_pod_could_be_patched_by_are_a_fault(tmp_path: Path) -> None:
    text = f"image: {IMAGE}\nresources: {{memoryRequest: 2Gi, memoryLimit: 1Gi}}\n"
    code, _, err = called("run", "--settings", a_file(tmp_path, text))
    assert code == 2
    assert "resources.memoryRequest is 2Gi" in err.replace("\n", " ")


def test_outside_a_cluster_it_says_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    code, _, err = called("run", "--settings", a_file(tmp_path, f"image: {IMAGE}\n"))
    assert code == 2
    assert "certificates.api.url is not set" in err


def test_the_schema_is_one(tmp_path: Path) -> None:
    code, out, _ = called("schema")
    assert (code, orjson.loads(out)["title"]) == (0, "Outrider injector settings")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("nameserver 10.96.0.10\n", ("10.96.0.10",), id="one"),
        pytest.param(
            "# nameserver 9.9.9.9\nsearch svc\nnameserver\tfd00::a \nnameserver 10.0.0.1",
            ("fd00::a", "10.0.0.1"),
            id="among-other-lines",
        ),
        pytest.param("nameserver 1.1.1.1\n" * 5, ("1.1.1.1",) * 3, id="as-resolvers-read"),
        pytest.param("nameserver evil; rm\n", (), id="no-address"),
        pytest.param("", (), id="empty"),
    ],
)
def test_nameservers_are_those_of_the_resolv_conf(
    tmp_path: Path, text: str, found: tuple[str, ...]
) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(text)
    assert nameservers(file) == found


def test_without_a_resolv_conf_there_are_none(tmp_path: Path) -> None:
    assert nameservers(tmp_path / "none") == ()
