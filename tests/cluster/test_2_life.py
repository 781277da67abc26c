"""Start order, end, and what a pod loses when it is told to leave: KUBERNETES §4."""

import orjson
import pytest

from tests.support.chart import Object
from tests.support.cluster import AGENTS, Cluster, an_agent_pod
from tests.support.ground import wait_for
from tests.support.live_programs import an_agent_that

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

ONE_CALL = an_agent_that('print("said", call("10.0.0.50", "/tickets"))')


def a_job(name: str, program: str) -> Object:
    template = an_agent_pod(name, program)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": AGENTS},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"labels": template["metadata"]["labels"]},
                "spec": template["spec"],
            },
        },
    }


def started_at(status: Object, name: str) -> str:
    found = [
        one["state"].get("terminated", one["state"].get("running"))
        for one in [*status.get("initContainerStatuses", []), *status["containerStatuses"]]
        if one["name"] == name
    ]
    return str(found[0]["startedAt"])


def test_a_job_with_the_sidecar_ends(cluster: Cluster) -> None:
    cluster.plane.create(a_job("once", ONE_CALL)).checked()
    wait_for(
        lambda: cluster.plane.get("job", "once", "-n", AGENTS)["status"].get("succeeded") == 1,
        "the Job's end", within_s=120,
    )  # fmt: skip
    [pod] = cluster.node.pods(AGENTS, "job-name=once")
    name = pod["metadata"]["name"]
    assert "said 200" in cluster.logs(name, "agent")
    wait_for(lambda: cluster.phase(name) == "Succeeded", "the pod's end", within_s=60)
    ends = {
        one["name"]: one["state"]["terminated"]["exitCode"]
        for one in cluster.pod(name)["status"]["initContainerStatuses"]
    }
    assert ends == {"outrider-net-init": 0, "outrider": 0, "outrider-verify": 0}
    cluster.plane.kubectl("delete", "job", "once", "-n", AGENTS).checked()


def test_a_crashing_agent_does_not_take_the_job_along(cluster: Cluster) -> None:
    cluster.plane.create(a_job("crash", "import sys; sys.exit(7)")).checked()
    wait_for(
        lambda: cluster.plane.get("job", "crash", "-n", AGENTS)["status"].get("failed") == 1,
        "the Job's end", within_s=120,
    )  # fmt: skip
    cluster.plane.kubectl("delete", "job", "crash", "-n", AGENTS).checked()


def test_the_sidecar_is_there_before_users_init_containers_and_after_the_agent(
    cluster: Cluster,
) -> None:
    first = an_agent_pod("ordered", ONE_CALL)
    [agent] = first["spec"]["containers"]
    first["spec"]["initContainers"] = [{**agent, "name": "prepare"}]
    last = cluster.run_agent(first)
    assert "said 200" in last
    assert "said 200" in cluster.logs("ordered", "prepare")
    pod = cluster.pod("ordered")
    order = [one["name"] for one in pod["spec"]["initContainers"]]
    assert order == ["outrider-net-init", "outrider", "outrider-verify", "prepare"]
    status = pod["status"]
    times = [started_at(status, name) for name in (*order, "agent")]
    assert times == sorted(times)
    ended = {
        one["name"]: one["state"]["terminated"]["finishedAt"]
        for one in [*status["initContainerStatuses"], *status["containerStatuses"]]
    }
    assert ended["agent"] <= ended["outrider"]
    cluster.remove("ordered")


def test_an_exchange_under_way_ends_when_the_pod_is_told_to_leave(cluster: Cluster) -> None:
    program = an_agent_that(r"""
def told(*_):
    pass
signal.signal(signal.SIGTERM, told)
print("asking", flush=True)
print("said", call("10.0.0.50", "/slow"), flush=True)
print("late", call("10.0.0.50", "/tickets"), flush=True)
""")
    pod = an_agent_pod("leaving", program)
    # what was said is to outlive the pod: a finalizer keeps it until it has been read
    pod["metadata"]["finalizers"] = ["outrider.test/read"]
    cluster.start_agent(pod)
    wait_for(lambda: "asking" in cluster.logs("leaving", "agent"), "a call", within_s=30)
    cluster.plane.kubectl("delete", "pod", "leaving", "-n", AGENTS, "--wait=false").checked()
    wait_for(lambda: "late" in cluster.logs("leaving", "agent"), "its answers", within_s=60)
    assert "said 200" in cluster.logs("leaving", "agent")
    assert "late 200" in cluster.logs("leaving", "agent")
    patch = orjson.dumps({"metadata": {"finalizers": None}}).decode()
    cluster.plane.kubectl(
        "patch", "pod", "leaving", "-n", AGENTS, "--type=merge", "-p", patch
    ).checked()


def test_an_agent_whose_sidecar_has_no_identity_is_not_started(cluster: Cluster) -> None:
    pod = an_agent_pod("nobody", ONE_CALL)
    cluster.plane.kubectl("create", "serviceaccount", "nobody", "-n", AGENTS).checked()
    pod["spec"]["serviceAccountName"] = "nobody"
    cluster.plane.create(pod).checked()
    wait_for(
        lambda: "still starting" in cluster.logs("nobody", "outrider"), "its words", within_s=60
    )
    assert cluster.logs("nobody", "agent") == ""
    assert cluster.phase("nobody") == "Pending"
    cluster.remove("nobody")
