"""Prometheus, a real one, finds the injected pods by the API server and reads every sidecar.

Debian builds it without its discovery of Kubernetes, so pods are told to it by http: a process asks
the API server and gives the labels that discovery would. The relabelling is that of production.
"""

from collections.abc import Iterator

import orjson
import pytest
import yaml

from tests.support import prometheus
from tests.support.cluster import AGENTS, Cluster, an_agent_pod
from tests.support.debian import UnavailableError
from tests.support.ground import ADDRESS, wait_for
from tests.support.live_programs import DISCOVERY, STEADY, an_agent_that

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

PORT = 19090


def scraping() -> dict[str, object]:
    """What the chart's PodMonitor comes to: the named port of pods that are injected."""
    return {
        "global": {"scrape_interval": "2s", "scrape_timeout": "2s"},
        "scrape_configs": [{
            "job_name": "outrider",
            "http_sd_configs": [
                {"url": f"http://{ADDRESS}:{PORT + 1}/", "refresh_interval": "1s"}
            ],
            "relabel_configs": [
                {"source_labels": ["__meta_kubernetes_pod_label_outrider_dev_injected"],
                 "regex": "true", "action": "keep"},
                {"source_labels": ["__meta_kubernetes_pod_container_port_name"],
                 "regex": "outrider-tel", "action": "keep"},
                {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
                {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
                {"source_labels": ["__meta_kubernetes_pod_label_outrider_dev_agent"],
                 "target_label": "agent"},
            ],
        }],
    }  # fmt: skip


@pytest.fixture(scope="module")
def server(cluster: Cluster) -> Iterator[Cluster]:
    try:
        program = prometheus.find().prometheus
    except UnavailableError as fault:
        pytest.skip(str(fault))
    ground = cluster.plane.ground
    config = ground.folder / "prometheus.yaml"
    config.write_text(yaml.safe_dump(scraping()))
    kubectl = (str(cluster.plane.programs.kubectl), "--kubeconfig", str(cluster.plane.kubeconfig))
    telling = ground.start(
        "discovery", "python3", "-c", DISCOVERY, ADDRESS, str(PORT + 1), *kubectl
    )
    running = ground.start(
        "prometheus", program, f"--config.file={config}",
        f"--storage.tsdb.path={ground.folder / 'tsdb'}", f"--web.listen-address={ADDRESS}:{PORT}",
    )  # fmt: skip
    yield cluster
    running.stop()
    telling.stop()


def asked(cluster: Cluster, expression: str) -> dict[str, float]:
    """The value of each series by its pod."""
    program = (
        "import sys, urllib.parse as p, urllib.request as u\n"
        f"print(u.urlopen('http://{ADDRESS}:{PORT}/api/v1/query?query=' + p.quote(sys.argv[1]))"
        ".read().decode())"
    )
    told = cluster.plane.ground.run("python3", "-c", program, expression)
    if told.code != 0:
        return {}
    found = orjson.loads(told.out)["data"]["result"]
    return {one["metric"].get("pod", ""): float(one["value"][1]) for one in found}


def test_it_finds_the_injected_pod_and_reads_it(server: Cluster) -> None:
    name = server.start_agent(an_agent_pod("watched", an_agent_that(STEADY)))
    wait_for(lambda: asked(server, 'up{job="outrider"}').get(name) == 1.0, "the pod", within_s=60)
    wait_for(
        lambda: asked(server, "sum by (pod) (rate(outrider_exchanges_total[20s])) > 1").get(name),
        "its exchanges", within_s=60,
    )  # fmt: skip
    assert asked(server, 'outrider_capture_mode_info{mode="transparent"}')[name] == 1.0
    labelled = asked(server, f'up{{namespace="{AGENTS}", agent="triage"}}')
    assert labelled == {name: 1.0}
    # nobody who is not injected is asked
    assert "upstream" not in asked(server, "up")
    server.remove(name)
    wait_for(lambda: name not in asked(server, "up"), "its end", within_s=60)


def test_the_injectors_own_page_tells_of_its_reviews(server: Cluster) -> None:
    [pod, *_] = server.node.pods("outrider-system")
    url = f"http://{pod['status']['podIP']}:15020/metrics"
    program = f"import urllib.request as u; print(u.urlopen({url!r}).read().decode())"
    page = server.plane.ground.run("python3", "-c", program).checked()
    assert "outrider_injector_" in page
