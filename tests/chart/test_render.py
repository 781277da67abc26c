"""What the chart renders: by every values file, the same twice, accepted by those who read it."""

import re
from pathlib import Path

import pytest

from outrider.config.injector import load_injector, validate_injector
from outrider.config.load import load, parse_yaml
from outrider.injector import names
from tests.support import chart
from tests.support.admission_pss import BASELINE_ADDS
from tests.support.chart import RENDERS, Render, objects
from tests.support.chart_sdk import sdk_objects, texts

EVERY = [pytest.param(render, id=name) for name, render in RENDERS.items()]


@pytest.mark.parametrize("render", EVERY)
def test_it_renders_and_every_object_has_its_labels(render: Render) -> None:
    found = [one for one in objects(render) if one["metadata"]["name"] != "beside"]
    assert chart.of_kind(found, "Deployment")
    for one in found:
        assert one["metadata"]["labels"]["app.kubernetes.io/name"] == "outrider", one["kind"]


@pytest.mark.parametrize("render", EVERY)
def test_no_two_objects_share_a_name(render: Render) -> None:
    found = [
        (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"])
        for one in objects(render)
    ]
    assert len(found) == len(set(found))


@pytest.mark.parametrize("name", ["defaults", "everything"])
def test_two_renders_are_the_same_bytes(name: str) -> None:
    assert chart.fresh_text(RENDERS[name]) == chart.text(RENDERS[name])


@pytest.mark.parametrize("render", EVERY)
def test_the_injector_accepts_its_settings(render: Render, tmp_path: Path) -> None:
    path = tmp_path / "injector.yaml"
    path.write_text(chart.settings_text(objects(render)), "utf-8")
    settings = load_injector(path)
    image = chart.of_kind(objects(render), "Deployment")[0]["spec"]["template"]["spec"]
    assert settings.image == image["containers"][0]["image"]


@pytest.mark.parametrize("render", EVERY)
def test_the_sidecar_accepts_its_variables(render: Render, tmp_path: Path) -> None:
    path = tmp_path / "injector.yaml"
    path.write_text(chart.settings_text(objects(render)), "utf-8")
    variables = dict(load_injector(path).sidecar.environment)
    if "OUTRIDER_POLICY__OPA__URL" in variables:  # it needs an identity, which the injector gives
        variables["OUTRIDER_IDENTITY__SOURCE"] = "workload_api"
        variables["SPIFFE_ENDPOINT_SOCKET"] = "unix:///spiffe-workload-api/spire-agent.sock"
    assert load(None, variables).settings is not None


def test_names_are_those_of_the_injector() -> None:
    rules = (chart.CHART / "templates" / "_rules.tpl").read_text("utf-8")
    webhook = (chart.CHART / "templates" / "mutatingwebhook.yaml").read_text("utf-8")
    monitor = (chart.CHART / "templates" / "podmonitor.yaml").read_text("utf-8")
    ours = ", ".join(f'"{one}"' for one in (names.SIDECAR, names.NET_INIT, names.VERIFY))
    assert f"[{ours}]" in rules
    reserved = (one for one in names.VOLUMES if one != names.RUN_VOLUME)
    assert ", ".join(f'"{one}"' for one in reserved) in rules
    assert f"'{names.RUN_VOLUME}'" in rules
    listed = re.search(r'"outrider\.rules\.baseline" -}}\n\[(.+)\]', rules)
    assert listed is not None
    assert set(re.findall(r"\w+", listed[1])) == names.TRUSTED_CAPABILITIES == BASELINE_ADDS
    kept = ", ".join(f"'{one}'" for one in sorted(BASELINE_ADDS - names.ALLOWED_CAPABILITIES))
    assert f"[{kept}]" in rules
    for path in (
        names.OUTRIDER_BINARY, names.NFT_BINARY, names.RUN_PATH, names.STATE_PATH, names.TOKEN_PATH,
        names.CONFIG_PATH, names.POLICY_PATH, names.WORKLOAD_PATH, names.ENDPOINT_VARIABLE,
    ):  # fmt: skip
        assert f"'{path}'" in rules
    assert f"== {names.HELPER_UID}" in rules
    assert ", ".join(f"'{one}'" for one in names.DROPPED_CAPABILITIES) in rules
    assert set(re.findall(r"\b2\d{3}\b", rules)) == {str(names.UID)}
    assert f'"{names.KUBELET_PATH}/"' in rules
    assert f'"{names.SPIFFE_DRIVER}"' in rules
    drivers = ", ".join(f'"{one}"' for one in names.SECRET_DRIVERS)
    assert f"[{drivers}]" in rules
    kinds = ", ".join(f"'{one}'" for one in sorted(names.VOLUME_KINDS))
    assert f"['name', {kinds}]" in rules
    for label in (names.INJECT_LABEL, names.REVISION_LABEL):
        assert f'"{label}"' in webhook
    for name in (names.INJECTED_LABEL, names.TELEMETRY_PORT_NAME):
        assert f" {name}" in monitor


def test_the_webhook_asks_about_pods_that_are_made_and_nothing_that_an_author_wrote() -> None:
    [config] = chart.of_kind(objects(Render()), "MutatingWebhookConfiguration")
    entries = {one["name"]: one for one in config["webhooks"]}
    assert list(entries) == [
        "namespace.outrider.dev", "pod.outrider.dev", "pod-disabled.outrider.dev"
    ]  # fmt: skip
    for one in entries.values():
        assert "caBundle" not in one["clientConfig"]
        assert one["clientConfig"]["service"]["port"] == 443
        assert (one["failurePolicy"], one["sideEffects"]) == ("Fail", "None")
        assert (one["reinvocationPolicy"], one["timeoutSeconds"]) == ("IfNeeded", 5)
        [rule] = one["rules"]
        assert (rule["operations"], rule["resources"]) == (["CREATE"], ["pods"])
        [condition] = one["matchConditions"]
        assert "system:nodes" in condition["expression"]
    assert "objectSelector" not in entries["namespace.outrider.dev"]
    for name in ("pod.outrider.dev", "pod-disabled.outrider.dev"):
        keys = {one["key"] for one in entries[name]["objectSelector"]["matchExpressions"]}
        assert keys == {names.INJECT_LABEL, names.REVISION_LABEL}


@pytest.mark.parametrize(("name", "expected"), [
    pytest.param("defaults", {"operator": "DoesNotExist"}, id="the-first"),
    pytest.param("canary", {"operator": "In", "values": ["canary"]}, id="a-canary"),
])  # fmt: skip
def test_a_revision_serves_its_own_namespaces(name: str, expected: dict[str, object]) -> None:
    [config] = chart.of_kind(objects(RENDERS[name]), "MutatingWebhookConfiguration")
    of_namespace, of_pod, _ = config["webhooks"]
    wanted = {"key": names.REVISION_LABEL, **expected}
    assert wanted in of_namespace["namespaceSelector"]["matchExpressions"]
    assert wanted in of_pod["objectSelector"]["matchExpressions"]
    assert wanted not in of_pod["namespaceSelector"]["matchExpressions"]


@pytest.mark.parametrize("render", EVERY)
def test_no_certificate_and_no_empty_bundle_is_rendered(render: Render) -> None:
    rendered = chart.text(render)
    assert "PRIVATE KEY" not in rendered
    assert 'caBundle: ""' not in rendered
    for secret in chart.of_kind(objects(render), "Secret"):
        assert not secret.keys() & {"data", "stringData"}


@pytest.mark.parametrize("render", EVERY)
def test_rights_name_what_they_are_for(render: Render) -> None:
    found = objects(render)
    for role in chart.of_kind(found, "Role") + chart.of_kind(found, "ClusterRole"):
        for rule in role["rules"]:
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
            # the test's own: a pod that is made for show has no name yet
            assert rule.get("resourceNames") or rule["verbs"] == ["create"]


@pytest.mark.parametrize("name", ["cert-manager", "provided"])
def test_certificates_from_files_take_no_rights(name: str) -> None:
    found = [one for one in objects(RENDERS[name]) if not chart.is_test(one)]
    kinds = {one["kind"] for one in found}
    assert not kinds & {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "Lease"}
    [deployment] = chart.of_kind(found, "Deployment")
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    assert [next(iter(one.keys() - {"name"})) for one in volumes] == [
        "configMap", "emptyDir", "secret"
    ]  # fmt: skip


@pytest.mark.parametrize("render", EVERY)
def test_selectors_find_the_injector(render: Render) -> None:
    found = objects(render)
    [deployment] = chart.of_kind(found, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [deployment["spec"]["selector"]["matchLabels"]]
    selectors += [one["spec"]["selector"] for one in chart.of_kind(found, "Service")]
    for kind in ("PodDisruptionBudget", "ServiceMonitor"):
        selectors += [one["spec"]["selector"]["matchLabels"] for one in chart.of_kind(found, kind)]
    for one in chart.of_kind(found, "NetworkPolicy"):
        selectors.append(one["spec"]["podSelector"]["matchLabels"])
    for selector in selectors:
        assert selector.items() <= labels.items()


@pytest.mark.parametrize("render", EVERY)
def test_pods_of_the_chart_fit_pod_security_restricted(render: Render) -> None:
    found = objects(render)
    specs = [one["spec"]["template"]["spec"] for one in chart.of_kind(found, "Deployment")]
    specs += [one["spec"] for one in chart.of_kind(found, "Pod")]
    for spec in specs:
        assert not spec.keys() & {"hostPID", "hostIPC", "initContainers"}
        assert "hostNetwork" not in spec or render is RENDERS["host-network"]
        assert spec["automountServiceAccountToken"] is False
        allowed = {"configMap", "emptyDir", "projected", "secret"}
        assert all(volume.keys() - {"name"} <= allowed for volume in spec["volumes"])
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["runAsNonRoot"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}


def test_strict_values_hold_nothing_that_weakens() -> None:
    with pytest.raises(chart.RenderError, match="digest"):
        objects(Render(files=("values-strict.yaml",)))
    settings = chart.settings_text(objects(chart.STRICT))
    assert "namespaces: []" in settings
    assert "exceptions: []" in settings


def test_cert_manager_that_nobody_sees_is_no_silent_gap() -> None:
    with pytest.raises(chart.RenderError, match=r"certificates\.certManager\.force"):
        objects(Render(sets=("certificates.mode=certManager",)))


def test_names_that_look_like_numbers_stay_texts() -> None:
    found = sdk_objects({
        "nameOverride": "0", "fullnameOverride": "7", "image": {"repository": "0", "tag": "1"},
        "injector": {"serviceAccount": {"name": "9"}, "priorityClassName": "0"},
        "identity": {"csiDriver": "0"}, "sidecar": {"configMap": "1e3"},
        "tests": {"namespace": "12"},
    })  # fmt: skip
    for one in found:
        assert isinstance(one["metadata"]["name"], str)
        assert all(isinstance(it, str) for it in one["metadata"]["labels"].values())
    document = parse_yaml(chart.settings_text(found))
    assert isinstance(document, dict)
    assert validate_injector(document).sidecar.config_map == "1e3"


@pytest.mark.parametrize(("bundle", "warned"), [
    pytest.param({"url": "https://rules.example/bundle.tar.gz"}, True, id="any-old-release"),
    pytest.param({"url": "https://rules.example/bundle.tar.gz", "leastSequence": 4}, False,
                 id="none-below-the-fourth"),
    pytest.param({}, False, id="no-bundle-from-elsewhere"),
])  # fmt: skip
def test_the_notes_warn_of_a_bundle_that_may_be_rolled_back(
    bundle: dict[str, object], warned: bool
) -> None:
    written = texts({"policy": {"bundle": bundle}})
    [notes] = [text for name, text in written.items() if name.endswith("NOTES.txt")]
    assert ("without policy.bundle.leastSequence" in notes) is warned
