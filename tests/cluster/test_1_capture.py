"""What an injected agent on a real node can do, and what it cannot: KUBERNETES §7, §8, §12."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.cluster import AGENTS, TRIAGE, Cluster, an_agent_pod
from tests.support.live_programs import an_agent_that

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def resident(cluster: Cluster) -> Iterator[str]:
    """An agent that asks, tries what is not its to do, and stays."""
    program = an_agent_that(r"""
def lied():
    # the stray address, under the name of the one that is known
    one = http.client.HTTPConnection("10.0.0.51", 80, timeout=15)
    one.request("GET", "/tickets", headers={"Host": "10.0.0.50"})
    return one.getresponse().status
print("allowed", call("10.0.0.50", "/tickets"))
print("denied", call("10.0.0.50", "/tickets", "POST"))
print("undeclared", call("10.0.0.50", "/admin", "POST"))
print("stray", call("10.0.0.51", "/stray"))
print("own-host-lie", lied())
time.sleep(3600)
""")
    name = cluster.start_agent(an_agent_pod("resident", program))
    yield name
    cluster.remove(name)


def said(cluster: Cluster, pod: str) -> dict[str, str]:
    lines = cluster.logs(pod, "agent").splitlines()
    return {line.partition(" ")[0]: line.partition(" ")[2] for line in lines}


def test_a_direct_call_is_captured_and_what_policy_allows_arrives(
    cluster: Cluster, resident: str
) -> None:
    words = said(cluster, resident)
    assert words["allowed"] == "200"
    assert "GET /tickets" in cluster.seen()


def test_what_policy_does_not_allow_never_arrives(cluster: Cluster, resident: str) -> None:
    words = said(cluster, resident)
    assert words["denied"] == "403"  # declared, and refused by policy
    assert words["undeclared"] == "404"
    assert words["stray"] == "404"  # an address that no upstream has
    assert words["own-host-lie"] != "200" or cluster.count("/tickets") >= 1
    assert [one for one in cluster.seen() if one not in {"GET /tickets", "GET /slow"}] == []


def test_it_was_governed_under_its_own_svid(cluster: Cluster, resident: str) -> None:
    decided = [one for one in cluster.records(resident, "decision") if one["subject"]]
    assert {one["subject"]["id"] for one in decided} == {TRIAGE}
    assert {one["subject"]["credential"] for one in decided} == {"attested-local"}
    assert [one["decision"]["enforced"] for one in decided][:2] == ["allow", "deny"]
    assert [one["code"] for one in decided[1]["decision"]["reasons"]] == ["T-01"]
    held = [one["identity"]["spiffe_id"] for one in cluster.records(resident) if "identity" in one]
    assert set(held) == {TRIAGE}


def test_the_sidecar_says_what_it_captures(cluster: Cluster, resident: str) -> None:
    page = cluster.telemetry(resident)
    assert 'outrider_capture_mode_info{mode="transparent"} 1.0' in page
    assert cluster.telemetry(resident, "/readyz")


TRIES = an_agent_that(r"""
import fcntl, struct
print("setuid", tried(lambda: os.setuid(2102)))
print("packet", tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)))
print("raw", tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)))
print("mark", tried(lambda: socket.socket().setsockopt(socket.SOL_SOCKET, 36, 1)))
def say_udp(address, port):
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.sendto(b"x", (address, port))
print("udp", tried(lambda: say_udp("10.0.0.50", 443)))
print("dns-elsewhere", tried(lambda: say_udp("10.0.0.51", 53)))
print("dns", tried(lambda: say_udp("10.0.0.10", 53)))
print("nft", tried(lambda: os.execv("/usr/bin/nft", ["nft", "flush", "ruleset"])))
""")


@pytest.mark.parametrize("uid", [1000, 65534])
def test_no_way_round_is_open(cluster: Cluster, uid: int) -> None:
    name = f"tries-{uid}"
    cluster.run_agent(an_agent_pod(name, TRIES, uid=uid))
    words = said(cluster, name)
    refused = "Operation not permitted"
    # to become the sidecar's user, frames and raw packets of one's own, marks, the rules themselves
    for way in ("setuid", "packet", "raw", "mark", "nft"):
        assert words[way] == refused, (way, words)
    for way in ("udp", "dns-elsewhere"):
        assert words[way] == refused, (way, words)
    assert words["dns"] == "done"
    cluster.remove(name)


@pytest.mark.parametrize(("changes", "words"), [
    pytest.param({"securityContext": {"runAsUser": 2102}}, "reserved_uid", id="sidecars-uid"),
    pytest.param({"uid": 0}, "reserved_uid", id="root"),
    pytest.param({"labels": {"outrider.dev/inject": "disabled"}}, "opt_out_not_accepted",
                 id="opted-out"),
    pytest.param({"hostNetwork": True}, "host_namespace", id="host-network"),
    pytest.param({"shareProcessNamespace": True}, "host_namespace", id="shared-processes"),
    pytest.param({"automountServiceAccountToken": True}, "agent_secret", id="token"),
])  # fmt: skip
def test_a_pod_that_could_get_round_is_refused(
    cluster: Cluster, changes: dict[str, Any], words: str
) -> None:
    pod = an_agent_pod("refused", "", **changes)
    told = cluster.plane.create(pod)
    assert told.code != 0
    assert words in told.err
    assert cluster.plane.kubectl("get", "pod", "refused", "-n", AGENTS).code != 0


def test_the_workload_api_is_no_agents(cluster: Cluster) -> None:
    socket = {"name": "spire", "hostPath": {"path": str(cluster.spire.sockets)}}
    pod = an_agent_pod("thief", "", volumes=[socket])
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "spire", "mountPath": "/s"}]
    told = cluster.plane.create(pod)
    assert told.code != 0
    assert "reserved_mount" in told.err


def test_who_is_not_the_sidecar_gets_no_identity_even_by_the_socket(cluster: Cluster) -> None:
    # in a namespace that nobody injects into, the same account's name and the socket itself
    pod = an_agent_pod("other", "import time; time.sleep(1)")
    agent = f"unix://{cluster.spire.sockets}/spire-agent.sock".removeprefix("unix://")
    told = cluster.plane.ground.run(
        str(cluster.spire.programs.agent), "api", "fetch", "x509", "-socketPath", agent,
        "-timeout", "5s",
    )  # fmt: skip
    assert pod["metadata"]["namespace"] == AGENTS
    assert told.code != 0


def test_nobody_enters_the_sidecar_and_the_app_may_be_entered(
    cluster: Cluster, resident: str
) -> None:
    plane = cluster.plane
    command = ("--", "/opt/outrider/bin/python", "-c", "print('in')")
    denied = plane.kubectl("exec", "-n", AGENTS, resident, "-c", "outrider", *command)
    assert "nobody enters the sidecar" in denied.err
    entered = plane.kubectl("exec", "-n", AGENTS, resident, "-c", "agent", *command)
    assert entered.checked().strip() == "in"
