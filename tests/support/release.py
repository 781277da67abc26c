"""The chart on a real API server: Helm, its values, and what it takes before pods can be made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from tests.support import helm
from tests.support.chart import CHART, NAMESPACE, RELEASE
from tests.support.control_plane import ControlPlane
from tests.support.ground import Told

NEWEST: Final = helm.VERSIONS[-1]
INJECT: Final = "outrider.dev/inject"
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Helm of one version against one API server."""

    plane: ControlPlane
    version: str = NEWEST

    def helm(self, *words: str, within_s: float = 120.0) -> Told:
        home = self.plane.ground.folder / f"helm-{self.version}"
        home.mkdir(exist_ok=True)
        return self.plane.ground.run(
            str(helm.find(self.version)), "--kubeconfig", str(self.plane.kubeconfig),
            "--namespace", NAMESPACE, *words, within_s=within_s, HOME=str(home),
        )  # fmt: skip

    def install(self, values: Values, *words: str) -> Told:
        return self._with_values("install", values, "--create-namespace", *words)

    def upgrade(self, values: Values, *words: str) -> Told:
        return self._with_values("upgrade", values, *words)

    def _with_values(self, verb: str, values: Values, *words: str) -> Told:
        path = self.plane.ground.folder / "values.yaml"
        path.write_text(yaml.safe_dump(dict(values)))
        return self.helm(verb, RELEASE, str(CHART), "--values", str(path), *words)

    def uninstall(self) -> Told:
        return self.helm("uninstall", RELEASE)


def values_file(name: str) -> dict[str, Any]:
    """One of the chart's values files, read."""
    found: dict[str, Any] = yaml.safe_load((CHART / name).read_text())
    return found


def a_namespace(plane: ControlPlane, name: str, **labels: str) -> None:
    """A namespace with its service account, which no controller makes here; labels by key, `inject`
    for ours. Idempotent."""
    named = {INJECT if key == "inject" else key: value for key, value in labels.items()}
    plane.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": named}},
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": name},
        },
    ).checked()
