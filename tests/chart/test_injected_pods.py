"""What the injector makes of pods, judged by the policies: ours pass, hostile ones do not."""

import copy
from functools import cache
from pathlib import Path

import orjson
import pytest

from outrider.injector.reasons import Reason
from tests.support.admission_hostile import HOSTILE, NEAR_MISSES, Hostile
from tests.support.chart import ROOT, Object, Render, objects
from tests.support.vap import Policies, Request

GOLDENS = sorted((ROOT / "tests" / "unit" / "injector" / "goldens").glob("*.json"))
RULES = {
    Reason.HOST_NAMESPACE: {3, 14},
    Reason.RESERVED_UID: {4},
    Reason.CAPABILITY: {5},
    Reason.RESERVED_MOUNT: {7},
    Reason.DNS_UNKNOWN: {13},
    Reason.AGENT_SECRET: {10, 11, 12},
}


@cache
def policies(mode: str, *sets: str) -> Policies:
    chosen = (f"capture.mode={mode}", "image.repository=registry.example/outrider", *sets)
    digest = f"image.digest=sha256:{'a' * 64}"
    return Policies(objects(Render(files=("ci/exceptions-values.yaml",), sets=(*chosen, digest))))


def rules(found: list[str]) -> set[int]:
    return {int(one.removeprefix("outrider rule ").split(":")[0]) for one in found}


def _golden(path: Path) -> Object:
    found: Object = orjson.loads(path.read_bytes())
    return found


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_a_pod_as_the_injector_leaves_it_is_let_in(path: Path) -> None:
    golden = _golden(path)
    sets = []
    if golden["captureMode"] == "cooperative":
        sets = ["capture.skipOutboundPorts=null", "capture.skipSubnets=null"]
    namespace = golden["namespace"] or "agents"
    sets += [
        f"{key}={{{namespace}}}"
        for key, wanted in (
            ("classicSidecar.namespaces", "classic" in path.stem),
            ("agentSecrets.exceptions", "listed" in path.stem),
            ("guardedAnnotations.namespaces", "guarded" in path.stem),
        )
        if wanted
    ]
    request = Request(
        object=golden["patched"],
        namespace=namespace,
        labels={"outrider.dev/inject": "enabled"} if golden["entry"] == "namespace" else {},
    )
    assert policies(golden["captureMode"], *sets).denials(request) == []


def _injected(pod: Object) -> Object:
    """`pod` with our containers and volumes, and nothing taken away: as if nobody had looked."""
    ours = _golden(next(path for path in GOLDENS if path.stem == "plain"))["patched"]["spec"]
    pod = copy.deepcopy(pod)
    spec = pod["spec"]
    spec["initContainers"] = ours["initContainers"] + (spec.get("initContainers") or [])
    spec["volumes"] = ours["volumes"] + (spec.get("volumes") or [])
    return pod


DENIED = [
    pytest.param(one, id=name)
    for name, one in HOSTILE.items()
    if one.reason in RULES and name != "token-asked-for"  # judged once it is mounted
]


@pytest.mark.parametrize("hostile", DENIED)
def test_what_the_injector_denies_the_policies_deny_too(hostile: Hostile) -> None:
    found = policies("transparent").denials(Request(object=_injected(hostile.pod)))
    assert rules(found) & RULES[hostile.reason]
    assert set(found) <= policies("transparent").messages


@pytest.mark.parametrize("pod", [pytest.param(one, id=name) for name, one in NEAR_MISSES.items()])
def test_its_near_misses_break_no_rule_but_the_one_that_it_patches(pod: Object) -> None:
    found = policies("transparent").denials(Request(object=_injected(pod)))
    assert rules(found) <= {6}


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_a_pod_as_its_author_wrote_it_is_denied(path: Path) -> None:
    golden = _golden(path)
    request = Request(object=golden["pod"], namespace="agents")
    assert 1 in rules(policies("transparent").denials(request))
