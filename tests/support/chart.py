"""The chart as tests see it: rendered by a real Helm, read as objects."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support import helm

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "helm" / "outrider"
NAMESPACE: Final = "outrider-system"
RELEASE: Final = "outrider"
DIGEST: Final = "sha256:" + "a" * 64

Object = dict[str, Any]
_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class RenderError(Exception):
    """Helm refused; the text is what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Render:
    """One way of rendering the chart."""

    files: tuple[str, ...] = ()
    """Values files, from the chart's folder."""
    sets: tuple[str, ...] = ()
    version: str = "4.3.1"
    kubernetes: str | None = None
    release: str = RELEASE


STRICT: Final = Render(files=("values-strict.yaml",), sets=(f"image.digest={DIGEST}",))


def renders() -> Iterator[tuple[str, Render]]:
    """Every values file that ships or is tested, by name."""
    yield "defaults", Render()
    yield "values-ha", Render(files=("values-ha.yaml",))
    yield "values-strict", STRICT
    for path in sorted((CHART / "ci").glob("*-values.yaml")):
        yield path.name.removesuffix("-values.yaml"), Render(files=(f"ci/{path.name}",))


RENDERS: Final[Mapping[str, Render]] = dict(renders())


@cache
def text(render: Render) -> str:
    """What `helm template` writes. Raises `RenderError`, and `helm.UnavailableError`."""
    return fresh_text(render)


def fresh_text(render: Render) -> str:
    """As `text`, rendered anew."""
    words = ["template", render.release, str(CHART), "--namespace", NAMESPACE]
    for name in render.files:
        words += ["--values", str(CHART / name)]
    for one in render.sets:
        words += ["--set", one]
    if render.kubernetes is not None:
        words += ["--kube-version", render.kubernetes]
    done = helm.run(render.version, *words)
    if done.returncode != 0:
        raise RenderError(done.stderr)
    return done.stdout


@cache
def objects(render: Render) -> list[Object]:
    """The rendered objects, in order; nobody changes them."""
    return parse(text(render))


def parse(rendered: str) -> list[Object]:
    """The objects of a multi-document YAML text, empty documents left out."""
    return [one for one in yaml.load_all(rendered, Loader=_Loader) if one is not None]


def of_kind(found: list[Object], kind: str) -> list[Object]:
    """Those of one kind."""
    return [one for one in found if one["kind"] == kind]


def settings_text(found: list[Object]) -> str:
    """The settings file for `outrider injector run`."""
    [config] = [
        it["data"]["injector.yaml"]
        for it in of_kind(found, "ConfigMap")
        if "injector.yaml" in it.get("data", {})
    ]
    text: str = config
    return text


def is_test(found: Object) -> bool:
    """Whether it belongs to `helm test` alone."""
    return "helm.sh/hook" in found["metadata"].get("annotations", {})
