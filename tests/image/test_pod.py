"""The exact pod that the injector makes, played by podman: what containers are asked to be, they
are.

Podman here knows no native sidecars and no CSI: the sidecar moves among the containers, and the
Workload API's volume is a folder. Its capabilities are ambient besides, which those of a node's
runtime are not: what a helper may do as another uid is shown on a node (`make test-cluster`).
"""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import orjson
import pytest
import yaml

from outrider.core.capture import CaptureMode
from outrider.core.jsonvalue import JsonObject
from outrider.injector.plan import Identity, IdentitySource, Sidecar
from tests.support.admission import a_plan, a_pod, admitted
from tests.support.containers import Podman
from tests.support.ground import wait_for

pytestmark = [pytest.mark.image, pytest.mark.timeout(600)]

STAY = "import time; time.sleep(600)"
PEEK = """
import os, resource
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(os.getuid(), os.getgid(), status["CapBnd"].strip(), status["NoNewPrivs"].strip(),
      status["Seccomp"].strip())
"""


def the_pod(image: str, mode: CaptureMode) -> JsonObject:
    """A pod of an agent's after injection, with no identity to wait for."""
    plan = a_plan(
        mode,
        image=image,
        image_pull_policy="Never",
        identity=Identity(source=IdentitySource.NONE),
        sidecar=Sidecar(environment=(("OUTRIDER_PROFILE", "development"),)),
    )
    agent: JsonObject = {
        "name": "agent",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["/opt/outrider/bin/python", "-u", "-c", STAY],
        "securityContext": {"runAsUser": 1000, "runAsGroup": 1000},
    }
    return admitted(a_pod(agent, name="played"), plan).pod


def played(pod: JsonObject) -> JsonObject:
    """As this podman can play it."""
    found = deepcopy(pod)
    del found["metadata"]["annotations"]  # podman takes 63 characters of one at most
    spec = found["spec"]
    assert isinstance(spec, dict)
    inits = [one for one in spec.pop("initContainers") if one["name"] == "outrider"]  # type: ignore[union-attr,index,call-overload]
    for one in inits:
        one.pop("restartPolicy")
        one.pop("ports")  # it would publish them, and there is no network here
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            one.pop(name, None)
        one["env"] = [each for each in one["env"] if "valueFrom" not in each]
    spec["containers"] = [*inits, *spec["containers"]]  # type: ignore[misc]
    return found


@pytest.fixture
def pod(engine: Podman, image: str, tmp_path: Path) -> Iterator[str]:
    document = tmp_path / "pod.yaml"
    document.write_text(yaml.safe_dump(played(the_pod(image, CaptureMode.TRANSPARENT))))
    engine.run("pod", "rm", "--force", "--ignore", "--time", "0", "played")
    engine.run("play", "kube", "--network=none", str(document), wait_s=120).checked()
    yield "played"
    engine.run("pod", "rm", "--force", "--time", "0", "played")


def test_the_sidecar_of_the_patched_pod_comes_up_and_is_as_confined_as_it_says(
    engine: Podman, pod: str
) -> None:
    name = f"{pod}-outrider"
    ask = (
        "import urllib.request as u;"
        "print(u.urlopen('http://127.0.0.1:15020/livez', timeout=2).status)"
    )

    def is_up() -> bool:
        told = engine.run("exec", name, "/opt/outrider/bin/python", "-c", ask, wait_s=30)
        return told.out.strip() == "200"

    try:
        wait_for(is_up, "the sidecar", within_s=60)
    except AssertionError as fault:
        raise AssertionError(engine.run("logs", name).err[-3000:]) from fault
    seen = engine.run("exec", name, "/opt/outrider/bin/python", "-c", PEEK).checked().split()
    assert seen == ["2102", "2102", "0" * 16, "1", "2"]
    writes = "open('/etc/x', 'w')"
    told = engine.run("exec", name, "/opt/outrider/bin/python", "-c", writes)
    assert "Read-only file system" in told.err


def test_the_agent_of_the_patched_pod_has_what_could_go_round_taken_away(
    engine: Podman, pod: str
) -> None:
    told = engine.run("inspect", f"{pod}-agent").checked()
    found = orjson.loads(told)[0]
    bounding = set(found.get("BoundingCaps") or [])
    assert bounding.isdisjoint({"CAP_SETUID", "CAP_SETGID", "CAP_NET_RAW", "CAP_NET_ADMIN"})
    seen = engine.run("exec", f"{pod}-agent", "/opt/outrider/bin/python", "-c", PEEK).checked()
    assert seen.split()[0] == "1000"
    assert seen.split()[3] == "1"  # nothing is gained by executing
