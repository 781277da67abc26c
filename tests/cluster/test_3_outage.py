"""The injector away, its configuration gone, its release upgraded and rolled back, under load."""

import itertools
import re
from collections.abc import Iterator

import orjson
import pytest

from tests.support.chart import NAMESPACE
from tests.support.cluster import AGENTS, Cluster, an_agent_pod
from tests.support.ground import wait_for
from tests.support.live_programs import STEADY, an_agent_that

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

REVISION = r'policy_revision_info\{[^}]*revision="([^"]+)"'
FAILURES = r'bundle_failures_total\{[^}]*stage="(?:verify|activate)"\} ([0-9.]+)'
_loads = itertools.count()
INJECTOR = "deployment/outrider-injector"


def injects(cluster: Cluster, name: str = "probe") -> bool:
    told = cluster.plane.create(an_agent_pod(name, ""), "--dry-run=server", "-o", "json")
    return told.code == 0 and '"outrider-net-init"' in told.out


def scaled(cluster: Cluster, replicas: int) -> None:
    plane = cluster.plane
    plane.kubectl("scale", INJECTOR, "-n", NAMESPACE, f"--replicas={replicas}").checked()
    selector = "app.kubernetes.io/name=outrider"

    def there() -> bool:
        pods = cluster.node.pods(NAMESPACE, selector)
        statuses = [one["status"].get("containerStatuses", [{}])[0].get("ready") for one in pods]
        return len(pods) == replicas and all(statuses)

    wait_for(there, f"{replicas} replicas", within_s=120)


def test_with_the_injector_down_no_agent_starts_ungoverned(cluster: Cluster) -> None:
    plane = cluster.plane
    scaled(cluster, 0)
    try:
        told = plane.create(an_agent_pod("early", ""))
        assert told.code != 0
        assert "failed calling webhook" in told.err
        elsewhere = an_agent_pod("elsewhere", "")
        elsewhere["metadata"]["namespace"] = "platform"
        elsewhere["spec"]["serviceAccountName"] = "default"
        plane.create(elsewhere, "--dry-run=server").checked()
        # and with the webhook's configuration gone the policies stand alone
        kept = plane.kubectl("get", "mutatingwebhookconfiguration", "outrider-injector", "-o",
                             "yaml").checked()  # fmt: skip
        plane.kubectl("delete", "mutatingwebhookconfiguration", "outrider-injector").checked()
        told = plane.create(an_agent_pod("early", ""))
        assert "outrider rule 1" in told.err
        plane.kubectl("create", "-f", "-", stdin=_anew(kept)).checked()
    finally:
        scaled(cluster, 2)
    wait_for(lambda: injects(cluster), "injection", within_s=60)


def _anew(kept: str) -> str:
    return re.sub(r"(?m)^  (resourceVersion|uid|creationTimestamp|generation):.*\n", "", kept)


@pytest.fixture
def load(cluster: Cluster) -> Iterator[list[str]]:
    """Agents that call without pause; what each says at its end is its tally."""
    program = an_agent_that(STEADY)
    names = [cluster.start_agent(_kept(f"load-{next(_loads)}", program)) for _ in range(2)]
    yield names
    for name in names:
        _let_go(cluster, name)


def _kept(name: str, program: str) -> dict[str, object]:
    """A pod whose words can be read after its end."""
    pod = an_agent_pod(name, program)
    pod["metadata"]["finalizers"] = ["outrider.test/read"]
    return pod


def _let_go(cluster: Cluster, name: str) -> None:
    cluster.plane.kubectl("delete", "pod", name, "-n", AGENTS, "--wait=false")
    patch = '{"metadata": {"finalizers": null}}'
    cluster.plane.kubectl("patch", "pod", name, "-n", AGENTS, "--type=merge", "-p", patch)


def tally(cluster: Cluster, name: str) -> tuple[int, int, str]:
    """Told to leave, it says how many calls it made, and how many failed."""
    plane = cluster.plane
    plane.kubectl("delete", "pod", name, "-n", AGENTS, "--wait=false").checked()
    wait_for(lambda: "tally" in cluster.logs(name, "agent"), "a tally", within_s=90)
    line = cluster.logs(name, "agent").splitlines()[-1]
    _, sent, faults, which = line.split(" ", 3)
    return int(sent), int(faults), which


def revision(cluster: Cluster) -> str:
    """The release's newest revision."""
    told = cluster.release.helm("history", "outrider", "-o", "json").checked()
    return str(max(one["revision"] for one in orjson.loads(told)))


def test_an_upgrade_and_a_rollback_under_load_lose_nothing(
    cluster: Cluster, load: list[str]
) -> None:
    pods = []

    def made(stage: str) -> str:
        """Pods are made while it goes on: each is let in, and injected; the image it got."""
        told = cluster.plane.create(an_agent_pod(f"during-{stage}-{len(pods)}", ""),
                                    "--dry-run=server", "-o", "json")  # fmt: skip
        [first, *_] = orjson.loads(told.checked())["spec"]["initContainers"]
        assert first["name"] == "outrider-net-init"
        pods.append(stage)
        return str(first["image"])

    def rolled(stage: str) -> None:
        status = ("rollout", "status", INJECTOR, "-n", NAMESPACE, "--timeout=1s")
        wait_for(
            lambda: made(stage) and cluster.plane.kubectl(*status).code == 0,
            f"{stage} of the injector", within_s=180,
        )  # fmt: skip

    def goes_to(tag: str, other: str, stage: str) -> None:
        """To the image `tag` while the policies take what the injectors of `other` still make."""
        accepted = {"admissionPolicies": {"acceptedImages": [f"k8s.local/outrider:{other}"]}}
        cluster.release.upgrade(cluster.values(tag, **accepted)).checked()
        rolled(stage)
        # the API server keeps asking one that leaves until that closes its connection
        wait_for(lambda: made(stage) == f"k8s.local/outrider:{tag}", tag, within_s=60)

    first = revision(cluster)
    goes_to("2", "1", "upgrade")
    goes_to("1", "2", "back")
    cluster.release.helm("rollback", "outrider", first).checked()  # and the list is as it was
    rolled("rollback")
    assert {"upgrade", "back", "rollback"} == set(pods)

    tallies = [tally(cluster, name) for name in load]
    assert [faults for _, faults, _ in tallies] == [0, 0], tallies
    assert min(sent for sent, _, _ in tallies) > 50
    arrived = [sum(one.endswith(f"from={name}") for one in cluster.seen()) for name in load]
    assert arrived == [sent for sent, _, _ in tallies]


def test_a_bare_rollback_lets_in_nobody_ungoverned(cluster: Cluster) -> None:
    """Helm puts the older list of images back before the newer injectors have gone: what those
    still make is denied, to be made again, and never let in as it is."""
    accepted = {"admissionPolicies": {"acceptedImages": ["k8s.local/outrider:1"]}}
    before = revision(cluster)
    cluster.release.upgrade(cluster.values("2", **accepted), "--wait").checked()
    cluster.release.helm("rollback", "outrider", before).checked()

    def is_back() -> bool:
        told = cluster.plane.create(an_agent_pod("probe", ""), "--dry-run=server", "-o", "json")
        if told.code != 0:
            assert "outrider rule 1" in told.err or "failed calling webhook" in told.err
            return False
        assert '"outrider-net-init"' in told.out
        [first, *_] = orjson.loads(told.out)["spec"]["initContainers"]
        return str(first["image"]).endswith(":1")

    wait_for(is_back, "the older injectors", within_s=180)
    status = ("rollout", "status", INJECTOR, "-n", NAMESPACE, "--timeout=120s")
    cluster.plane.kubectl(*status, within_s=130).checked()


def test_a_new_policy_reaches_every_sidecar_under_load_and_no_call_is_lost(
    cluster: Cluster, load: list[str]
) -> None:
    asking = an_agent_that(r"""
while True:
    print("write", call("10.0.0.50", "/tickets", "POST"), flush=True)
    time.sleep(0.1)
""")
    writer = cluster.start_agent(an_agent_pod("writer", asking))
    everyone = [*load, writer]

    def revisions() -> set[str]:
        found = [re.findall(REVISION, cluster.telemetry(one)) for one in everyone]
        return {"|".join(one) for one in found}

    [first] = revisions()
    assert "write 403" in cluster.logs(writer, "agent")
    cluster.shop.publish(2)
    wait_for(lambda: len(found := revisions()) == 1 and first not in found, "release 2",
             within_s=60)  # fmt: skip
    wait_for(lambda: "write 200" in cluster.logs(writer, "agent"), "what it allows", within_s=20)

    # an older release, put back where the newer one was, is taken by nobody
    [second] = revisions()
    cluster.shop.publish(1, refused=("desk/POST /tickets",))

    def refused_everywhere() -> bool:
        pages = [cluster.telemetry(one) for one in everyone]
        counted = [re.findall(FAILURES, page) for page in pages]
        return all(any(float(value) > 0 for value in one) for one in counted)

    wait_for(refused_everywhere, "its refusal", within_s=60)
    assert revisions() == {second}
    # the way back is the old policy under a new number
    cluster.shop.publish(3, refused=("desk/POST /tickets",))
    wait_for(lambda: revisions() == {first}, "release 3", within_s=60)
    cluster.remove(writer)

    tallies = [tally(cluster, name) for name in load]
    assert [faults for _, faults, _ in tallies] == [0, 0], tallies
