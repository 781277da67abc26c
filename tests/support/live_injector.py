"""The real injector beside a real API server, asked through the chart's own Service.

It runs under the rights of the chart's service account: it makes its CA, keeps it in the chart's
Secret and writes it into the chart's configuration.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import orjson
import yaml

from tests.support.admission import a_pod
from tests.support.chart import NAMESPACE
from tests.support.control_plane import PORT, ControlPlane, Object
from tests.support.ground import ADDRESS, Process, Told, wait_for
from tests.support.release import Release, a_namespace

NAME: Final = "outrider-injector"
VALUES: Final = {
    "image": {"repository": "k8s.local/outrider", "tag": "1"},
    "capture": {"dnsServers": ["10.0.0.10"]},
    "optOut": {"namespaces": ["lenient"]},
}
SLICE: Final = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": {
        "name": NAME,
        "namespace": NAMESPACE,
        "labels": {"kubernetes.io/service-name": NAME},
    },
    "addressType": "IPv4",
    "ports": [{"name": "webhook", "port": 10250, "protocol": "TCP"}],
    "endpoints": [{"addresses": [ADDRESS], "conditions": {"ready": True}}],
}
OURS: Final = ["outrider-net-init", "outrider", "outrider-verify"]


def _started(plane: ControlPlane) -> Process:
    """`outrider injector run` with the chart's settings; only where its API server is differs."""
    folder = plane.ground.folder / "injector"
    folder.mkdir(exist_ok=True)
    config = plane.get("configmap", NAME, "-n", NAMESPACE)["data"]
    settings = yaml.safe_load(config["injector.yaml"])
    token = plane.kubectl("create", "token", NAME, "-n", NAMESPACE, "--duration", "1h").checked()
    (folder / "token").write_text(token.strip())
    (folder / "ca.crt").write_text(plane.authority.read_text())
    settings["certificates"]["api"] = {
        "url": f"https://{ADDRESS}:{PORT}", "directory": str(folder),
    }  # fmt: skip
    settings["certificates"] |= {"lookS": 0.5, "leaseS": 5, "settleS": 1}
    settings["webhook"] = {**settings.get("webhook", {}), "delayS": 0}
    (folder / "injector.yaml").write_text(yaml.safe_dump(settings))
    program = str(Path(sys.executable).with_name("outrider"))
    command = (program, "injector", "run", "--settings", str(folder / "injector.yaml"))
    return plane.ground.start("injector", *command, POD_NAME="injector-0")


def asked(plane: ControlPlane, pod: Object, namespace: str = "hooked") -> Told:
    found = {**pod, "metadata": {**pod["metadata"], "namespace": namespace}}
    return plane.create(found, "--dry-run=server", "-o", "json")


def injected(told: Told) -> list[str]:
    spec = orjson.loads(told.checked())["spec"]
    return [one["name"] for one in spec.get("initContainers", [])]


@contextmanager
def a_running_injector(plane: ControlPlane) -> Iterator[Process]:
    injector = _started(plane)
    pod = a_pod(labels={"outrider.dev/inject": "enabled"})
    try:

        def answers() -> bool:
            assert injector.is_running, injector.said()[-3000:]
            return asked(plane, pod).code == 0

        wait_for(answers, "the injector", within_s=60)
        yield injector
    finally:
        injector.stop()


@contextmanager
def a_chart(plane: ControlPlane) -> Iterator[ControlPlane]:
    """The chart, installed, its Service led to where the injector will be; four namespaces."""
    release = Release(plane=plane)
    release.install(VALUES).checked()
    plane.apply(SLICE).checked()
    for name, labels in {
        "hooked": {"inject": "enabled"}, "lenient": {"inject": "enabled"}, "open": {},
        "closed": {"inject": "disabled"},
    }.items():  # fmt: skip
        a_namespace(plane, name, **labels)
    yield plane
    release.uninstall().checked()
    plane.kubectl("delete", "endpointslice", NAME, "-n", NAMESPACE)
