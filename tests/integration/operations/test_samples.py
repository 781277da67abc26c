"""What is given to try at home is tried as far as it can be without a container engine."""

import re
import subprocess
from typing import Any

import kubernetes_validate
import pytest
import yaml

from outrider.cli.demo.spire.programs import find_programs
from outrider.config.load import environment
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import JsonObject
from tests.support import helm
from tests.support.admission import a_plan, admitted
from tests.support.chart import Render, fresh_text, parse
from tests.support.rules import DEPLOY

COMPOSE = DEPLOY / "compose"
KIND = DEPLOY / "kubernetes" / "kind"
MADE = {"./spire/bundle.pem"}
"""Files that the first steps of the page write."""


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text("utf-8"))
    return found


def workloads() -> list[JsonObject]:
    return list(yaml.safe_load_all((KIND / "workloads.yaml").read_text("utf-8")))


# --- compose -------------------------------------------------------------------------------


def test_what_the_laptop_names_is_there() -> None:
    document = compose()
    services = document["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", ())) <= set(services), name
        assert set(service.get("networks", ())) <= set(document["networks"]), name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert source in MADE or (COMPOSE / source).exists(), source
            else:
                assert source in document["volumes"], source
        if "build" in service:
            context = COMPOSE / service["build"]["context"]
            assert (context / service["build"]["dockerfile"]).is_file()
    assert services["agent"]["network_mode"] == "service:outrider"


def test_nothing_of_the_laptop_is_published_beyond_it() -> None:
    ports = [port for one in compose()["services"].values() for port in one.get("ports", ())]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_no_image_of_the_laptop_is_a_moving_one_and_ours_is_bound() -> None:
    services = compose()["services"]
    for service in services.values():
        assert re.search(r":[\w.-]+$", service["image"])
        assert not service["image"].endswith(":latest")
    for ours in ("outrider", "agent"):
        assert services[ours]["cap_drop"] == ["ALL"]
    assert services["outrider"]["read_only"] is True
    assert services["outrider"]["user"] == "2102:2102"


@pytest.mark.parametrize("name", ["server", "agent"])
def test_spire_takes_the_laptops_configuration(name: str) -> None:
    try:
        found = find_programs(environment())
    except ConfigError as why:
        pytest.skip(str(why))
    program = getattr(found, name)
    done = subprocess.run(
        [program, "validate", "-config", COMPOSE / "spire" / f"{name}.conf"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# --- kind ----------------------------------------------------------------------------------


def test_kubernetes_takes_the_workloads() -> None:
    for document in workloads():
        kubernetes_validate.validate(document, "1.34", strict=True)


def test_the_agent_is_injected_and_whole() -> None:
    (pod,) = [
        one["spec"]["template"]  # type: ignore[index, call-overload]
        for one in workloads()
        if one["kind"] == "Deployment" and one["metadata"]["namespace"] == "shop"  # type: ignore[index, call-overload]
    ]
    pod["metadata"]["name"] = "triage"
    whole = {"apiVersion": "v1", "kind": "Pod", **pod}
    answer = admitted(whole, a_plan(), namespace="shop")
    assert "initContainers" in answer.pod["spec"]
    assert "warnings" not in answer.response


def test_the_chart_takes_the_values() -> None:
    try:
        helm.find(Render().version)
    except helm.UnavailableError as why:
        pytest.skip(str(why))
    kinds = {one["kind"] for one in parse(fresh_text(Render(files=(str(KIND / "values.yaml"),))))}
    assert "MutatingWebhookConfiguration" in kinds


def test_the_page_names_files_that_are_there() -> None:
    page = (DEPLOY / "kubernetes" / "kind.md").read_text("utf-8")
    named = set(re.findall(r"(?:deploy|helm)/[a-z]+[\w./-]*/[\w./-]+|helm/outrider", page))
    assert len(named) >= 5
    assert [one for one in named if not (DEPLOY.parent / one).exists()] == []
    links = re.findall(r"\]\((\.\.?/[^)]+)\)", page)
    assert [one for one in links if not (DEPLOY / "kubernetes" / one).resolve().exists()] == []
