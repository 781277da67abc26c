"""Every value is read by some template: it is named there, and another one gives another text."""

import re
from functools import cache

import orjson
import pytest
import yaml

from tests.support import chart_docs
from tests.support.chart import CHART, Object
from tests.support.chart_sdk import Failed, fitting_values, texts

UNREAD = {"global", "image.requireDigest"}
"""The parent's, and a demand that the schema makes."""
LEAVES = [
    pytest.param(one, id=one.dotted) for one in chart_docs.leaves() if one.dotted not in UNREAD
]
_NAMED = re.compile(r"(?:\.Values|\$v)\.([A-Za-z.]+)")
_WITHIN = re.compile(r"with \$?(?:\.Values|\$v|v)\.([A-Za-z.]+)")
_TAIL = re.compile(r"[ (]\.([a-z][A-Za-z.]*)")


@cache
def _read() -> frozenset[str]:
    """Paths that templates name, in full or within a `with` of the same file."""
    found: set[str] = set()
    for path in (CHART / "templates").rglob("*.*"):
        text = path.read_text("utf-8")
        found |= set(_NAMED.findall(text))
        tails = set(_TAIL.findall(text))
        found |= {f"{above}.{tail}" for above in _WITHIN.findall(text) for tail in tails}
    return frozenset(found)


@pytest.mark.parametrize("value", LEAVES)
def test_a_template_names(value: chart_docs.Value) -> None:
    whole = {".".join(value.path[:end]) for end in range(2, len(value.path) + 1)} | {value.path[0]}
    sections = {"injector", "sidecar", "certificates", "monitoring", "spire", "policy", "openshift"}
    assert (whole - sections) & _read(), f"nothing reads {value.dotted}"


BASES = [
    {},
    {"policy": {"bundle": {"url": "https://bundles.example/b.tar.gz"}}},
    {"monitoring": {"dashboards": {"enabled": True}}},
    {"injector": {"serviceAccount": {"create": False, "name": "mine"}}},
    *(yaml.safe_load((CHART / "ci" / f"{name}-values.yaml").read_text("utf-8")) for name in (
        "everything", "cert-manager", "cert-manager-issuer", "provided", "host-network",
    )),
]  # fmt: skip


def _with(base: Object, path: tuple[str, ...], value: object) -> Object:
    head, *rest = path
    if not rest:
        return {**base, head: value}
    return {**base, head: _with(base.get(head, {}), tuple(rest), value)}


@cache
def _rendered(values: bytes) -> dict[str, str] | None:
    try:
        return texts(orjson.loads(values))
    except Failed:
        return None


REFUSING = {"certificates.certManager.force"}
"""Read by a refusal: tests/chart/test_render.py."""


@pytest.mark.k8s
@pytest.mark.parametrize("value", [one for one in LEAVES if one.id not in REFUSING])
def test_another_value_gives_another_text(value: chart_docs.Value) -> None:
    schema = chart_docs.schema_at(value.path)
    for base in BASES:
        before = _rendered(orjson.dumps(base))
        for other in fitting_values(schema):
            after = _rendered(orjson.dumps(_with(base, value.path, other)))
            if after is not None and after != before:
                return
    pytest.fail(f"nothing reads {value.dotted}")
