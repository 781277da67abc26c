"""Ours is told by content: what admission adds is let pass, anything else is not."""

import copy

import pytest

from outrider.core.jsonvalue import Json, JsonObject
from outrider.injector.parts import parts_of
from outrider.injector.sameness import same_container, same_volume, token_volumes
from tests.support.admission import DNS, a_plan
from tests.support.admission_shapes import TOKEN, TOKEN_MOUNT

TOKENS = token_volumes([TOKEN])
OURS = parts_of(a_plan(), (DNS,)).init_containers[1]


def _changed(path: str, value: Json) -> JsonObject:
    body = copy.deepcopy(OURS)
    *steps, last = path.split(".")
    place: Json = body
    for step in steps:
        place = place[int(step)] if isinstance(place, list) else place[step]  # type: ignore[index,call-overload]
    if isinstance(place, list):
        place.append(value)
    else:
        place[last] = value  # type: ignore[index,call-overload]
    return body


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("volumeMounts.-", TOKEN_MOUNT, id="automounted-token"),
        pytest.param("imagePullPolicy", "Always", id="always-pull-images"),
        pytest.param("resources.limits.cpu", "1", id="limit-range-cpu"),
        pytest.param("resources.requests.ephemeral-storage", "1Gi", id="limit-range-storage"),
        pytest.param("resources.requests.cpu", "0.05", id="amount-in-another-spelling"),
        pytest.param("resources.limits.memory", "524288Ki", id="limit-in-another-spelling"),
        pytest.param("lifecycle", None, id="null"),
    ],
)
def test_what_admission_adds_is_ours_still(path: str, value: Json) -> None:
    assert same_container(_changed(path, value), OURS, TOKENS) is None


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("image", "registry.example/outrider:1", "image"),
        ("image", "other.example/outrider@sha256:" + "a" * 64, "image"),
        ("command", ["/usr/local/bin/outrider", "run", "--config", "/x"], "command"),
        ("args", ["run"], "args"),
        ("env.-", {"name": "OUTRIDER_CONFIG", "value": "/x"}, "env"),
        ("env.-", {"name": "LD_PRELOAD", "value": "/x"}, "env"),
        ("envFrom", [{"configMapRef": {"name": "mine"}}], "envFrom"),
        ("volumeMounts.-", {"name": "mine", "mountPath": "/etc/outrider"}, "volumeMounts"),
        ("volumeMounts.-", {**TOKEN_MOUNT, "mountPath": "/usr"}, "volumeMounts"),
        ("volumeMounts.-", {**TOKEN_MOUNT, "readOnly": False}, "volumeMounts"),
        ("volumeMounts.-", {**TOKEN_MOUNT, "name": "mine"}, "volumeMounts"),
        ("volumeMounts.-", {**TOKEN_MOUNT, "subPath": "x"}, "volumeMounts"),
        ("resources.limits.memory", "16Mi", "resources"),
        ("resources.claims", [{"name": "gpu"}], "resources"),
        ("resources", None, "resources"),
        ("securityContext.privileged", True, "securityContext"),
        ("securityContext.runAsUser", 0, "securityContext"),
        ("lifecycle", {"postStart": {"exec": {"command": ["x"]}}}, "lifecycle"),
        ("livenessProbe.failureThreshold", 1000, "livenessProbe"),
        ("startupProbe.httpGet.path", "/livez", "startupProbe"),
        ("restartPolicy", None, "restartPolicy"),
        ("imagePullPolicy", "Never", "imagePullPolicy"),
        ("workingDir", "/srv", "workingDir"),
        ("stdin", True, "stdin"),
    ],
)
def test_anything_else_is_not_ours(path: str, value: Json, field: str) -> None:
    assert same_container(_changed(path, value), OURS, TOKENS) == field


def test_a_mount_of_ours_that_is_gone_is_told() -> None:
    body = copy.deepcopy(OURS)
    body["volumeMounts"] = []
    assert same_container(body, OURS) == "volumeMounts"


RUN: JsonObject = {"name": "outrider-run", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}


@pytest.mark.parametrize(
    ("empty", "same"),
    [
        ({"medium": "Memory", "sizeLimit": "65536Ki"}, True),
        ({"medium": "Memory", "sizeLimit": "65Mi"}, False),
        ({"medium": "Memory"}, False),
        ({"sizeLimit": "64Mi"}, False),
        ({"medium": "Memory", "sizeLimit": "64Mi", "x": 1}, False),
    ],
)
def test_volumes_are_told_by_content(empty: JsonObject, same: bool) -> None:
    assert same_volume({"name": "outrider-run", "emptyDir": empty}, RUN) is same


def test_a_volume_of_another_kind_is_not_ours() -> None:
    assert not same_volume({"name": "outrider-run", "hostPath": {"path": "/"}}, RUN)
    assert not same_volume({**RUN, "hostPath": {"path": "/"}}, RUN)
    assert same_volume(copy.deepcopy(RUN), RUN)


SERVICE_ACCOUNT: JsonObject = {"serviceAccountToken": {"path": "token"}}


@pytest.mark.parametrize(
    ("name", "body", "is_one"),
    [
        pytest.param(
            "kube-api-access-x", {"projected": {"sources": [SERVICE_ACCOUNT]}}, True, id="one"
        ),
        pytest.param("mine", {"projected": {"sources": [SERVICE_ACCOUNT]}}, False, id="other-name"),
        pytest.param("kube-api-access-x", {"emptyDir": {}}, False, id="empty-dir"),
        pytest.param("kube-api-access-x", {"projected": {"sources": []}}, False, id="no-source"),
        pytest.param(
            "kube-api-access-x",
            {"projected": {"sources": [SERVICE_ACCOUNT, {"configMap": {"name": "mine"}}]}},
            False,
            id="authors-config-map",
        ),
        pytest.param(
            "kube-api-access-x",
            {"projected": {"sources": [{"serviceAccountToken": {"audience": "vault"}}]}},
            False,
            id="other-audience",
        ),
        pytest.param(
            "kube-api-access-x",
            {"projected": {"sources": [{**SERVICE_ACCOUNT, "secret": {"name": "s"}}]}},
            False,
            id="two-in-one",
        ),
    ],
)
def test_a_token_volume_is_told_by_its_sources(name: str, body: JsonObject, is_one: bool) -> None:
    assert token_volumes([{"name": name, **body}]) == (frozenset({name}) if is_one else frozenset())


def test_a_mount_of_something_else_at_the_tokens_place_is_not_ours() -> None:
    assert same_container(_changed("volumeMounts.-", TOKEN_MOUNT), OURS) == "volumeMounts"
