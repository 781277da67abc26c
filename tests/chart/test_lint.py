"""Every values file, on each Helm, through every linter. `make test-k8s` runs it."""

from pathlib import Path

import kubernetes_validate
import pytest
from yamllint import linter
from yamllint.config import YamlLintConfig

from tests.support import helm, kubeconform
from tests.support.chart import CHART, DIGEST, RENDERS, Object, Render, fresh_text, objects, text

pytestmark = [pytest.mark.k8s, pytest.mark.timeout(600)]

EVERY = [pytest.param(render, id=name) for name, render in RENDERS.items()]
KUBERNETES = ("1.29", "1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37")
CUSTOM = ("cert-manager.io", "monitoring.coreos.com", "spire.spiffe.io", "security.openshift.io")
# Long lines are expressions; Helm indents lists as it likes.
STYLE = """
extends: default
rules:
  line-length: disable
  indentation: {spaces: consistent, indent-sequences: whatever}
  document-start: disable
  comments-indentation: disable
  braces: {max-spaces-inside: 1}
  commas: disable
  brackets: disable
  empty-lines: disable
  truthy: {check-keys: false}
"""


def _of(render: Render, *, version: str, kubernetes: str | None = None) -> Render:
    return Render(files=render.files, sets=render.sets, version=version, kubernetes=kubernetes)


@pytest.mark.parametrize("version", helm.VERSIONS)
@pytest.mark.parametrize("render", EVERY)
def test_helm_lint_is_strict_and_silent(render: Render, version: str) -> None:
    words = ["lint", "--strict", str(CHART)]
    for name in render.files:
        words += ["--values", str(CHART / name)]
    for one in render.sets:
        words += ["--set", one]
    done = helm.run(version, *words)
    assert (done.returncode, "[WARNING]" in done.stdout) == (0, False), done.stdout + done.stderr


@pytest.mark.parametrize("kubernetes", ["1.29.0", "1.37.0"])
@pytest.mark.parametrize("render", EVERY)
def test_every_helm_renders_the_same_objects(render: Render, kubernetes: str) -> None:
    def named(found: list[Object]) -> dict[tuple[str, str], Object]:
        return {(one["kind"], one["metadata"]["name"]): one for one in found}

    first, *others = (
        named(objects(_of(render, version=version, kubernetes=kubernetes)))
        for version in helm.VERSIONS
    )
    for other in others:
        assert other == first


@pytest.mark.parametrize("version", helm.VERSIONS)
@pytest.mark.parametrize("render", EVERY)
def test_two_renders_are_the_same_bytes_on_each(render: Render, version: str) -> None:
    one = _of(render, version=version)
    assert fresh_text(one) == text(one)


@pytest.mark.parametrize("render", EVERY)
def test_rendered_yaml_lints(render: Render) -> None:
    config = YamlLintConfig(STYLE)
    assert [str(one) for one in linter.run(text(render), config)] == []


@pytest.mark.parametrize(
    "path",
    [CHART / "Chart.yaml", *sorted(CHART.glob("values*.yaml")), *sorted(CHART.glob("ci/*.yaml"))],
    ids=lambda path: path.name,
)
def test_yaml_of_the_chart_lints(path: Path) -> None:
    config = YamlLintConfig(
        "extends: default\nrules: {document-start: disable, line-length: {max: 120}}"
    )
    assert [str(one) for one in linter.run(path.read_text("utf-8"), config)] == []


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize("render", EVERY)
def test_objects_fit_the_strict_schemas_of_kubernetes(render: Render, kubernetes: str) -> None:
    found = objects(_of(render, version="4.3.1", kubernetes=f"{kubernetes}.0"))
    for one in found:
        if not one["apiVersion"].startswith(CUSTOM):
            kubernetes_validate.validate(one, kubernetes, strict=True)


@pytest.mark.parametrize("kubernetes", ["1.29", "1.34", "1.37"])
@pytest.mark.parametrize("render", EVERY)
def test_kubeconform_finds_nothing(render: Render, kubernetes: str) -> None:
    try:
        kubeconform.find()
    except kubeconform.UnavailableError as fault:
        pytest.skip(str(fault))
    rendered = text(_of(render, version="4.3.1", kubernetes=f"{kubernetes}.0"))
    done = kubeconform.check(rendered, kubernetes)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Skipped: 0" in done.stdout


def test_kubeconform_would_find_a_field_that_is_not_there() -> None:
    try:
        kubeconform.find()
    except kubeconform.UnavailableError as fault:
        pytest.skip(str(fault))
    rendered = text(RENDERS["everything"])
    for old, new in (
        ("honorTimestamps", "honourTimestamps"), ("spiffeIDTemplate", "spiffeIdTemplate"),
        ("minReplicas", "minimum"), ("validationActions", "actions"),
    ):  # fmt: skip
        done = kubeconform.check(rendered.replace(old, new), "1.34")
        assert done.returncode != 0, old


@pytest.mark.parametrize("version", helm.VERSIONS)
def test_strict_values_take_no_tag(version: str) -> None:
    done = helm.run(
        version, "template", "x", str(CHART), "-f", str(CHART / "values-strict.yaml"),
        "--set", "image.tag=1",
    )  # fmt: skip
    assert done.returncode != 0
    assert DIGEST not in done.stdout
