"""Whatever values the schema takes: what they render is whole, and weakens nothing by itself."""

from itertools import chain

import pytest
from hypothesis import HealthCheck, Phase, assume, event, given, settings

from outrider.config.injector import validate_injector
from outrider.config.load import parse_yaml
from outrider.core.errors import ConfigError
from tests.support import chart
from tests.support.chart import NAMESPACE, Object
from tests.support.chart_sdk import Failed, Refused, drawn_values, sdk_objects, texts
from tests.support.injected import a_pod
from tests.support.vap import Policies, Request

pytestmark = [pytest.mark.k8s, pytest.mark.timeout(600)]


def _rendered(values: Object) -> list[Object]:
    try:
        found = sdk_objects(values)
    except Refused:
        event("refused by the schema")
        assume(False)
        raise
    except Failed as fault:  # nothing but the schema may refuse what is forced
        pytest.fail(f"{values}: {fault}")
    event("rendered")
    return [one for one in found if one["metadata"]["name"] != "beside"]


@given(values=drawn_values())
@settings(
    max_examples=60,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
def test_what_is_rendered_is_whole(values: Object) -> None:
    values.pop("extraObjects", None)
    found = _rendered(values)
    _names_fit(found)
    _selectors_match(found)
    _rights_are_named(found)
    _pods_are_restricted(found, values)
    _scope_is_ours(found)
    assert texts(values) == texts(values)
    _settings_are_read(found)


def _names_fit(found: list[Object]) -> None:
    names = [
        (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in found
    ]
    assert len(set(names)) == len(names)
    for kind, _, name in names:
        assert len(name) <= (63 if kind in {"Service", "Deployment", "Pod"} else 253)
    for one in found:
        for value in one["metadata"]["labels"].values():
            assert isinstance(value, str)
            assert len(value) <= 63


def _selectors_match(found: list[Object]) -> None:
    [deployment] = chart.of_kind(found, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    services = (one["spec"]["selector"] for one in chart.of_kind(found, "Service"))
    budgets = (
        one["spec"]["selector"]["matchLabels"]
        for one in chain(
            chart.of_kind(found, "PodDisruptionBudget"), chart.of_kind(found, "ServiceMonitor")
        )
    )
    for selector in chain([deployment["spec"]["selector"]["matchLabels"]], services, budgets):
        assert selector.items() <= labels.items()
    ports = {
        one["name"]: one for one in deployment["spec"]["template"]["spec"]["containers"][0]["ports"]
    }
    for service in chart.of_kind(found, "Service"):
        assert {one["targetPort"] for one in service["spec"]["ports"]} <= ports.keys()


def _rights_are_named(found: list[Object]) -> None:
    for role in chart.of_kind(found, "Role") + chart.of_kind(found, "ClusterRole"):
        for rule in role["rules"]:
            assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]
            assert rule.get("resourceNames") or chart.is_test(role)


def _pods_are_restricted(found: list[Object], values: Object) -> None:
    wanted = values.get("injector", {}).get("hostNetwork", False)
    [deployment] = chart.of_kind(found, "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    assert spec.get("hostNetwork", False) is wanted
    for pod in [spec, *(one["spec"] for one in chart.of_kind(found, "Pod"))]:
        [container] = pod["containers"]
        context = container["securityContext"]
        assert (context["runAsNonRoot"], context["allowPrivilegeEscalation"]) == (True, False)
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert not container["image"].endswith(":latest")


def _scope_is_ours(found: list[Object]) -> None:
    """Our own namespace is never asked about, and an agent without its sidecar never let in."""
    [config] = chart.of_kind(found, "MutatingWebhookConfiguration")
    for entry in config["webhooks"]:
        [names] = [
            one["values"]
            for one in entry["namespaceSelector"]["matchExpressions"]
            if one["key"] == "kubernetes.io/metadata.name"
        ]
        assert NAMESPACE in names
    policies = Policies(found)
    if policies.names:
        naked = a_pod(lambda pod: pod["spec"].pop("initContainers"))
        messages = policies.denials(Request(object=naked, namespace="xx-agents"))
        assert any("rule 1" in one for one in messages)
        assert set(messages) <= policies.messages


def _settings_are_read(found: list[Object]) -> None:
    document = parse_yaml(chart.settings_text(found))
    assert isinstance(document, dict)
    try:
        validate_injector(document)
    except ConfigError as fault:
        # what no pattern can say: whether a network is one, and what a quantity may be
        for line in str(fault).splitlines():
            assert line.startswith((
                "capture.", "certificates.", "webhook.", "resources.", "sidecar.environment",
                "policy",
            )), line  # fmt: skip
