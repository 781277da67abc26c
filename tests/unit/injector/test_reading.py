"""A pod is read whole or refused, naming the field."""

import pytest

from outrider.core.jsonvalue import Json
from outrider.injector.reading import read_pod, shown
from outrider.injector.reasons import DeniedError, Reason
from tests.support.admission import a_container, a_pod


def test_null_is_absent() -> None:
    pod = read_pod(
        {
            "metadata": None,
            "spec": {"initContainers": None, "volumes": None, "containers": [a_container()]},
        }
    )
    assert (pod.labels, pod.annotations, pod.volumes, pod.init_containers) == ({}, {}, (), ())
    assert [one.where for one in pod.every_container()] == ["spec.containers[0] (agent)"]


@pytest.mark.parametrize(
    ("pod", "where"),
    [
        pytest.param([], "the pod", id="list"),
        pytest.param({}, "spec is missing", id="no-spec"),
        pytest.param({"spec": 7}, "spec is no object", id="spec-number"),
        pytest.param({"spec": {"a": 1}}, "spec.containers is empty", id="no-containers"),
        pytest.param(a_pod(containers=None), "spec.containers is empty", id="null-containers"),
        pytest.param(a_pod(containers={}), "spec.containers is no list", id="containers-object"),
        pytest.param(a_pod(containers=["x"]), "spec.containers holds", id="container-text"),
        pytest.param(a_pod({"image": "x"}), "spec.containers[0].name", id="no-name"),
        pytest.param(a_pod(a_container(name=7)), "spec.containers[0].name", id="name-number"),
        pytest.param(a_pod(volumes=[{}]), "spec.volumes[0].name", id="volume-without-name"),
        pytest.param(a_pod(labels={"a": 1}), "metadata.labels.a", id="label-number"),
        pytest.param(a_pod(labels=["a"]), "metadata.labels is no object", id="labels-list"),
        pytest.param(a_pod(annotations={"a": None}), "metadata.annotations.a", id="null-note"),
        pytest.param(
            a_pod(volumes=[{"name": "v"}] * 1025), "spec.volumes has more than", id="volumes"
        ),
        pytest.param(
            a_pod(initContainers=[a_container()] * 257),
            "spec.initContainers has more than",
            id="containers",
        ),
        pytest.param(
            a_pod(labels={f"l{n}": "" for n in range(4097)}),
            "metadata.labels has more than 4096",
            id="labels",
        ),
    ],
)
def test_what_is_no_pod_is_refused(pod: Json, where: str) -> None:
    with pytest.raises(DeniedError) as caught:
        read_pod(pod)
    assert caught.value.reason is Reason.MALFORMED
    assert caught.value.message.startswith(where)


def test_what_the_author_wrote_is_shown_short_and_printable() -> None:
    assert shown("a\nb" + "c" * 100) == "a�b" + "c" * 57 + "…"
    assert shown(["x"]) == "['x']"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        pytest.param("/a" + "/.." * 100_000, "is longer than 4096 characters", id="of-steps-back"),
        pytest.param("/" + "a" * 4096, "is longer than 4096 characters", id="long"),
        pytest.param("/srv/../run/spire", "has a part that is ..", id="step-back"),
        pytest.param("..", "has a part that is ..", id="step-back-alone"),
        pytest.param(7, "is no text", id="number"),
    ],
)
def test_a_path_of_the_node_that_no_server_takes_is_malformed(path: object, says: str) -> None:
    volume = {"name": "v", "hostPath": {"path": path}}
    with pytest.raises(DeniedError, match="hostPath") as denied:
        read_pod(a_pod(volumes=[volume]))
    assert denied.value.message == f"spec.volumes[0].hostPath.path {says}"


@pytest.mark.parametrize("path", ["/" + "a" * 4095, "/srv/..data", "/a...", None])
def test_a_plain_path_of_the_node_is_read(path: str | None) -> None:
    assert read_pod(a_pod(volumes=[{"name": "v", "hostPath": {"path": path}}])).volumes
