"""`outrider inject`: manifests in, manifests with the sidecar out."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from outrider.cli.main import build
from tests.support.admission import IMAGE
from tests.support.command import WIDE, outrider

SETTINGS = f"image: {IMAGE}\ncapture: {{dnsServers: [10.96.0.10]}}\noptOut: {{namespaces: [out]}}\n"
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap # as it is\nmetadata: {name: x}\n"
POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: agent
  labels: {outrider.dev/inject: LABEL}
spec:
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 1000}
  containers: [{name: agent, image: x}]
"""
ENABLED, DISABLED = (POD.replace("LABEL", one) for one in ("enabled", "disabled"))


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "injector.yaml"
    path.write_text(SETTINGS)
    return path


def _file(room: Path, *documents: str) -> Path:
    path = room / "in.yaml"
    path.write_text("---\n".join(documents))
    return path


def test_pods_get_the_sidecar_and_other_documents_pass_unchanged(
    tmp_path: Path, settings: Path
) -> None:
    file = _file(tmp_path, CONFIG_MAP, ENABLED, CONFIG_MAP)
    said = outrider("inject", "-f", file, "--settings", settings)
    assert (said.code, said.err) == (0, "")
    first, second, third = said.out.split("---\n")
    assert (first, third) == (CONFIG_MAP, CONFIG_MAP)
    pod = yaml.safe_load(second)
    assert [body["name"] for body in pod["spec"]["initContainers"]] == [
        "outrider-net-init",
        "outrider",
        "outrider-verify",
    ]


def test_what_it_prints_it_takes_again_without_a_change(tmp_path: Path, settings: Path) -> None:
    once = outrider("inject", "-f", _file(tmp_path, CONFIG_MAP, ENABLED), "--settings", settings)
    again = outrider("inject", "-f", _file(tmp_path, once.out), "--settings", settings)
    assert again.out == once.out


def test_standard_input_is_read(settings: Path) -> None:
    words = ["inject", "-f", "-", "--settings", str(settings)]
    result = CliRunner().invoke(build("inject"), words, input=ENABLED, env=WIDE)
    assert (result.exit_code, "outrider-net-init" in result.stdout) == (0, True)


def test_a_denial_prints_nothing_but_its_reason(tmp_path: Path, settings: Path) -> None:
    file = _file(tmp_path, ENABLED, DISABLED)
    said = outrider("inject", "-f", file, "--settings", settings, "-n", "agents")
    assert (said.code, said.out) == (2, "")
    assert "denied Pod agents/agent: opt_out_not_accepted: metadata.labels" in said.err


def test_an_opted_out_pod_passes_where_it_may(tmp_path: Path, settings: Path) -> None:
    file = _file(tmp_path, DISABLED)
    said = outrider("inject", "-f", file, "--settings", settings, "--namespace", "out", "--explain")
    assert (said.code, said.out) == (0, DISABLED)
    assert "skipped Pod out/agent: opted_out" in said.err


def test_explain_says_of_each_pod_why(tmp_path: Path, settings: Path) -> None:
    said = outrider("inject", "-f", _file(tmp_path, ENABLED), "--settings", settings, "--explain")
    assert said.err == (
        "injected Pod default/agent: ok: injected outrider-net-init, outrider, outrider-verify; "
        "capture transparent\n"
    )


def test_diff_prints_what_changes_alone(tmp_path: Path, settings: Path) -> None:
    file = _file(tmp_path, CONFIG_MAP, ENABLED)
    said = outrider("inject", "-f", file, "--settings", settings, "--diff")
    assert said.code == 0
    assert said.out.startswith("--- Pod default/agent\n+++ Pod default/agent (injected)\n")
    assert "+  - name: outrider-net-init" in said.out
    assert "ConfigMap" not in said.out


def test_labelled_leaves_the_others_alone(tmp_path: Path, settings: Path) -> None:
    bare = ENABLED.replace("labels:", "annotations:")
    said = outrider("inject", "-f", _file(tmp_path, bare), "--settings", settings, "--labelled")
    assert (said.code, said.out) == (0, bare)


def test_an_image_and_a_dns_server_do_for_settings(tmp_path: Path) -> None:
    file = _file(tmp_path, ENABLED)
    said = outrider("inject", "-f", file, "--image", IMAGE, "--dns-server", "10.0.0.1")
    assert (said.code, IMAGE in said.out) == (0, True)
    assert "ip daddr { 10.0.0.1 } udp dport 53 accept" in said.out
    nobody = outrider("inject", "-f", file, "--image", IMAGE)
    assert (nobody.code, nobody.out, "dns_unknown" in nobody.err) == (2, "", True)


def test_a_dns_server_beside_settings_is_refused(tmp_path: Path, settings: Path) -> None:
    file = _file(tmp_path, ENABLED)
    said = outrider("inject", "-f", file, "--settings", settings, "--dns-server", "10.0.0.1")
    assert (said.code != 0, said.out) == (True, "")


def test_a_doubtful_key_matters_only_where_the_document_is_rewritten(
    tmp_path: Path, settings: Path
) -> None:
    other = "kind: Panel\nplace: {x: 1, y: 2}\n"
    passed = outrider("inject", "-f", _file(tmp_path, other), "--settings", settings)
    assert (passed.code, passed.out) == (0, other)
    pod = ENABLED.replace("labels: {", "labels: {y: a, ")
    refused = outrider("inject", "-f", _file(tmp_path, pod), "--settings", settings)
    assert (refused.code, refused.out) == (2, "")
    assert "the key 'y' is no text; quote it" in refused.err


def test_warnings_are_told(tmp_path: Path, settings: Path) -> None:
    pod = ENABLED.replace("  automountServiceAccountToken: false\n", "")
    said = outrider("inject", "-f", _file(tmp_path, pod), "--settings", settings)
    assert said.code == 0
    assert "warning: Pod default/agent: spec.automountServiceAccountToken" in said.err


@pytest.mark.parametrize(
    ("content", "words", "fault"),
    [
        pytest.param(b"a: [", ["--image", IMAGE], "not YAML", id="no-yaml"),
        pytest.param(b"\xff", ["--image", IMAGE], "not UTF-8", id="no-text"),
        pytest.param(b"a: 1", [], "give --settings FILE", id="no-settings"),
        pytest.param(b"a: 1", ["--image", IMAGE, "--settings", "x"], "one of the two", id="both"),
        pytest.param(b"a: 1", ["--settings", "no-such-file"], "cannot be read", id="no-file"),
    ],
)
def test_what_it_cannot_use_it_says_and_exits_two(
    tmp_path: Path, content: bytes, words: list[str], fault: str
) -> None:
    file = tmp_path / "in.yaml"
    file.write_bytes(content)
    said = outrider("inject", "-f", file, *words)
    assert (said.code, said.out) == (2, "")
    assert fault in said.err


def test_a_stream_without_end_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "in.yaml"
    with file.open("wb") as opened:
        opened.truncate((32 << 20) + 1)
    said = outrider("inject", "-f", file, "--image", IMAGE)
    assert (said.code, "larger than 33554432 bytes" in said.err) == (2, True)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    said = outrider("inject", "-f", tmp_path / "none", "--image", IMAGE)
    assert (said.code, "cannot be read" in said.err) == (2, True)


def test_what_an_author_wrote_is_no_markup_on_the_terminal(tmp_path: Path, settings: Path) -> None:
    pod = DISABLED.replace("name: agent\n", 'name: "[red]\\e[31m"\n', 1)
    said = outrider("inject", "-f", _file(tmp_path, pod), "--settings", settings)
    assert said.code == 2
    assert "[red]" in said.err
    assert "\x1b" not in said.err
