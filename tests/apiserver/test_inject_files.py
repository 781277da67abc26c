"""`outrider inject` and the webhook agree: files go through a real API server as they were made."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import yaml

from outrider.core.jsonvalue import JsonObject
from tests.support.admission import a_pod
from tests.support.chart import NAMESPACE
from tests.support.command import outrider
from tests.support.control_plane import ControlPlane
from tests.support.live_injector import NAME, OURS, a_chart, a_running_injector, asked, injected
from tests.support.release import a_namespace

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def hooked(plane: ControlPlane) -> Iterator[ControlPlane]:
    with a_chart(plane) as chart, a_running_injector(chart):
        yield chart


def _from_a_file(plane: ControlPlane, room: Path) -> JsonObject:
    """A pod that the command line injected, by the settings the chart rendered."""
    config = plane.get("configmap", NAME, "-n", NAMESPACE)["data"]
    assert isinstance(config, dict)
    (room / "injector.yaml").write_text(config["injector.yaml"])
    (room / "pod.yaml").write_text(yaml.safe_dump(a_pod(name="filed")))
    said = outrider(
        "inject", "-f", room / "pod.yaml", "--settings", room / "injector.yaml", "-n", "hooked"
    )
    assert said.code == 0, said.err
    pod: JsonObject = yaml.safe_load(said.out)
    return pod


def test_the_webhook_leaves_what_the_file_brings(hooked: ControlPlane, tmp_path: Path) -> None:
    pod = _from_a_file(hooked, tmp_path)
    by_file = orjson.loads(asked(hooked, pod).checked())
    by_webhook = orjson.loads(asked(hooked, a_pod(name="filed")).checked())
    assert by_file["spec"] == by_webhook["spec"]
    for kind in ("labels", "annotations"):
        assert by_file["metadata"][kind] == by_webhook["metadata"][kind]


def test_what_was_changed_since_is_refused(hooked: ControlPlane, tmp_path: Path) -> None:
    pod = _from_a_file(hooked, tmp_path)
    spec = pod["spec"]
    assert isinstance(spec, dict)
    spec["initContainers"][1]["env"].append({"name": "OUTRIDER_PROFILE", "value": "demo"})
    told = asked(hooked, pod)
    assert told.code != 0
    assert "reserved_name" in told.err
    assert "spec.initContainers[1] (outrider).env" in told.err


def test_where_no_webhook_is_called_the_policies_let_in_injected_files_alone(
    hooked: ControlPlane, tmp_path: Path
) -> None:
    """A namespace of a revision that nobody serves."""
    a_namespace(hooked, "files", **{"inject": "enabled", "outrider.dev/rev": "nobody"})
    assert injected(asked(hooked, _from_a_file(hooked, tmp_path), "files")) == OURS
    told = asked(hooked, a_pod(), "files")
    assert told.code != 0
    assert "outrider" in told.err
