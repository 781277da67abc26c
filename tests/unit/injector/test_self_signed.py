"""Replicas look after one Secret and one caBundle: one of them writes, all of them show."""

import asyncio
import base64
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography import x509

from outrider.injector.authority import Terms, data_of, first
from outrider.injector.certificates import ServedCertificate
from outrider.injector.election import Election
from outrider.injector.kube import KubeError
from outrider.injector.self_signed import Parts, SelfSigned
from tests.support.injector import HandClock, RecordingInjectorEvents, is_signed_by
from tests.support.kube_api import ENTRIES, OBJECTS, Cluster

NAME = "outrider-injector.outrider-system.svc"
NOW = 1_800_000_000.0
DAY = 86_400.0
TERMS = Terms(name=NAME, ca_s=90 * DAY, leaf_s=DAY)
SETTLE_S = 300.0
LEASE_S = 30


@dataclass(slots=True)
class Replica:
    own: SelfSigned
    served: ServedCertificate
    events: RecordingInjectorEvents
    clock: HandClock

    async def look(self) -> None:
        await self.own.look()

    @property
    def leaf(self) -> bytes:
        assert self.served.shown is not None
        return self.served.shown.leaf


class SkewedApi:
    """The cluster as one replica hears it: the API server's clock against that replica's."""

    def __init__(self, cluster: Cluster, clock: HandClock) -> None:
        self._cluster, self._clock = cluster, clock
        self.get, self.patch = cluster.get, cluster.patch

    @property
    def ahead_s(self) -> float:
        return -self._clock.ahead_s


def a_replica(
    cluster: Cluster, name: str = "one", *, clock: HandClock | None = None, **changes: Any
) -> Replica:
    clock = clock or HandClock()
    events = RecordingInjectorEvents()
    served = ServedCertificate(events)
    parts: dict[str, Any] = {
        "api": SkewedApi(cluster, clock),
        "objects": OBJECTS,
        "terms": TERMS,
        "election": Election(identity=name, lease_s=LEASE_S),
        "served": served,
        "events": events,
        "clock": clock,
        "look_s": 10.0,
        "settle_s": SETTLE_S,
    }
    return Replica(
        own=SelfSigned(Parts(**parts | changes)), served=served, events=events, clock=clock
    )


def trusted_by_all(cluster: Cluster, leaf: bytes) -> bool:
    """Whether every webhook entry has a CA that signed `leaf`."""
    certificate = x509.load_der_x509_certificate(leaf)
    return all(
        any(is_signed_by(certificate, ca) for ca in _cas(bundle)) for bundle in cluster.bundles()
    )


def _cas(bundle: str | None) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(base64.b64decode(bundle)) if bundle else []


# --- the start ---


async def test_out_of_empty_objects_comes_a_certificate_that_every_entry_trusts() -> None:
    cluster = Cluster()
    one = a_replica(cluster)
    await one.look()
    assert cluster.holder == "one"
    assert trusted_by_all(cluster, one.leaf)
    assert len(set(cluster.bundles())) == 1
    assert one.events.in_sync == [True]
    assert one.own.trouble() is None


async def test_a_second_look_writes_nothing_but_the_lease() -> None:
    cluster = Cluster()
    one = a_replica(cluster)
    await one.look()
    cluster.calls.clear()
    one.clock.now_s += 10
    await one.look()
    assert [path for method, path in cluster.calls if method == "PATCH"] == [OBJECTS.lease]


async def test_the_rest_of_the_configuration_is_left_alone() -> None:
    cluster = Cluster()
    await a_replica(cluster).look()
    entries = cluster.objects[OBJECTS.configuration]["webhooks"]
    assert [entry["name"] for entry in entries] == list(ENTRIES)
    assert all(entry["clientConfig"]["service"] for entry in entries)


async def test_a_follower_shows_what_the_leader_stored() -> None:
    cluster = Cluster()
    one, two = a_replica(cluster, "one"), a_replica(cluster, "two")
    await one.look()
    await two.look()
    assert two.leaf == one.leaf
    assert cluster.holder == "one"
    assert two.events.in_sync == [True]


async def test_a_follower_before_the_first_leader_shows_nothing() -> None:
    cluster = Cluster()
    cluster.touch(OBJECTS.lease, spec={"holderIdentity": "elsewhere", "renewTime": "now"})
    two = a_replica(cluster, "two")
    await two.look()
    assert two.served.shown is None
    assert cluster.data == {}


async def test_of_two_that_race_for_the_lease_one_writes() -> None:
    for _ in range(5):
        cluster = Cluster()
        one, two = a_replica(cluster, "one"), a_replica(cluster, "two")
        async with asyncio.TaskGroup() as group:
            group.create_task(one.look())
            group.create_task(two.look())
        assert [one.own.leads, two.own.leads].count(True) == 1
        await one.look()
        await two.look()
        assert one.leaf == two.leaf
        assert trusted_by_all(cluster, one.leaf)


# --- the leader goes ---


async def test_another_takes_over_what_is_stored_once_the_leader_is_silent() -> None:
    cluster = Cluster()
    one, two = a_replica(cluster, "one"), a_replica(cluster, "two")
    await one.look()
    await two.look()
    leaf = one.leaf
    two.clock.now_s += LEASE_S - 1
    await two.look()
    assert not two.own.leads
    two.clock.now_s += 1
    await two.look()
    assert two.own.leads
    assert cluster.holder == "two"
    assert two.leaf == leaf


async def test_a_leader_that_leaves_lets_go_at_once_and_for_good() -> None:
    cluster = Cluster()
    one, two = a_replica(cluster, "one"), a_replica(cluster, "two")
    await one.look()
    await one.own.release()
    assert cluster.holder == ""
    await one.look()
    assert cluster.holder == ""
    await two.look()
    assert cluster.holder == "two"


async def test_who_leads_no_more_does_not_let_go_of_anothers_lease() -> None:
    cluster = Cluster()
    one = a_replica(cluster, "one")
    await one.look()
    cluster.touch(OBJECTS.lease, spec={"holderIdentity": "two", "renewTime": "later"})
    await one.own.release()
    assert cluster.holder == "two"


async def test_a_leader_that_slept_undoes_nothing() -> None:
    """It thinks that it still leads and writes what it read before: the version is not the same."""
    cluster = Cluster()
    one = a_replica(cluster, "one")
    await one.look()
    stored = cluster.data

    class Slept(SkewedApi):
        async def _get(self, path: str) -> Any:
            found = await cluster.get(path)
            if path == OBJECTS.secret:
                cluster.touch(OBJECTS.secret, data=data_of(first(TERMS, NOW + DAY)) | {"x": "y"})
            return found

    clock = HandClock(now_s=DAY)
    api = Slept(cluster, clock)
    api.get = api._get
    sleeper = a_replica(cluster, "one", clock=clock, api=api)
    await sleeper.look()
    assert cluster.data != stored
    assert cluster.data["x"] == "y", "what somebody else wrote stands"


# --- renewal ---


async def test_through_two_new_cas_everything_shown_is_trusted_at_every_step() -> None:
    cluster = Cluster()
    clock = HandClock()
    one, two = (a_replica(cluster, name, clock=clock) for name in ("one", "two"))
    roots = set()
    for _ in range(0, 24 * 126, 12):
        for replica in (one, two):
            await replica.look()
            for each in (one, two):
                assert each.served.shown is None or trusted_by_all(cluster, each.leaf)
        roots.add(cluster.data["ca.crt"])
        clock.now_s += 12 * 3600
    assert len(roots) == 3
    assert one.events.in_sync.count(False) == 0


async def test_a_new_ca_does_not_sign_before_the_configuration_carried_it_for_a_while() -> None:
    cluster = Cluster()
    one = a_replica(cluster)
    await one.look()
    root = cluster.data["ca.crt"]
    one.clock.now_s += 60 * DAY
    await one.look()  # told of
    assert "next-ca.crt" in cluster.data
    one.clock.now_s += 10
    await one.look()  # seen to be carried
    one.clock.now_s += SETTLE_S - 1
    await one.look()
    assert cluster.data["ca.crt"] == root
    one.clock.now_s += 1
    await one.look()
    assert cluster.data["ca.crt"] != root


async def test_a_bundle_that_was_taken_out_meanwhile_waits_anew() -> None:
    cluster = Cluster()
    one = a_replica(cluster)
    await one.look()
    root = cluster.data["ca.crt"]
    one.clock.now_s += 60 * DAY
    await one.look()
    one.clock.now_s += 10
    await one.look()
    one.clock.now_s += SETTLE_S
    cluster.objects[OBJECTS.configuration]["webhooks"][1]["clientConfig"]["caBundle"] = ""
    await one.look()
    assert cluster.data["ca.crt"] == root
    assert len(set(cluster.bundles())) == 1, "and it is put back"


# --- what is lost ---


async def test_a_secret_that_was_emptied_is_written_back_as_it_was() -> None:
    cluster = Cluster()
    one, two = a_replica(cluster, "one"), a_replica(cluster, "two")
    await one.look()
    await two.look()
    stored, leaf = cluster.data, one.leaf
    cluster.touch(OBJECTS.secret, data=None)
    await two.look()
    assert two.leaf == leaf, "a follower shows on"
    await one.look()
    assert cluster.data == stored
    assert one.leaf == leaf


async def test_garbage_in_the_secret_is_as_good_as_none() -> None:
    cluster = Cluster()
    one = a_replica(cluster)
    await one.look()
    stored = cluster.data
    cluster.touch(OBJECTS.secret, data=stored | {"tls.key": "Z2FyYmFnZQ=="})
    await one.look()
    assert cluster.data == stored


async def test_who_takes_over_an_emptied_secret_remembers_it() -> None:
    cluster = Cluster()
    one, two = a_replica(cluster, "one"), a_replica(cluster, "two")
    await one.look()
    await two.look()
    stored = cluster.data
    cluster.touch(OBJECTS.secret, data={})
    two.clock.now_s += LEASE_S
    await two.look()
    assert cluster.data == stored


async def test_a_secret_that_nobody_remembers_is_made_anew() -> None:
    cluster = Cluster()
    await a_replica(cluster, "one").look()
    stored = cluster.data
    cluster.touch(OBJECTS.secret, data={})
    again = a_replica(cluster, "one")
    await again.look()
    assert cluster.data["ca.crt"] != stored["ca.crt"]
    assert trusted_by_all(cluster, again.leaf)


async def test_a_deleted_secret_takes_nothing_away() -> None:
    cluster = Cluster()
    one = a_replica(cluster)
    await one.look()
    leaf = one.leaf
    del cluster.objects[OBJECTS.secret]
    one.clock.now_s += DAY * 0.7
    await one.look()
    assert one.leaf == leaf
    assert one.own.trouble() == "the API server answered 404"


async def test_a_bundle_that_was_overwritten_is_told_and_put_back_by_the_leader_alone() -> None:
    cluster = Cluster()
    one, two = a_replica(cluster, "one"), a_replica(cluster, "two")
    await one.look()
    await two.look()
    cluster.objects[OBJECTS.configuration]["webhooks"][0]["clientConfig"]["caBundle"] = ""
    await two.look()
    assert two.events.in_sync[-1] is False
    await one.look()
    assert one.events.in_sync[-1] is True
    await two.look()
    assert two.events.in_sync[-1] is True


async def test_a_configuration_without_entries_is_not_in_sync() -> None:
    cluster = Cluster()
    cluster.objects[OBJECTS.configuration]["webhooks"] = []
    one = a_replica(cluster)
    await one.look()
    assert one.events.in_sync == [False]


@pytest.mark.parametrize("path", [OBJECTS.lease, OBJECTS.secret, OBJECTS.configuration])
async def test_one_object_that_is_refused_does_not_keep_what_is_held_from_serving(
    path: str,
) -> None:
    cluster = Cluster()
    one = a_replica(cluster)
    await one.look()
    leaf = one.leaf
    cluster.refuses[path] = 403
    await one.look()
    assert one.leaf == leaf
    assert one.own.trouble() == "the API server answered 403"
    del cluster.refuses[path]
    await one.look()
    assert one.own.trouble() is None


async def test_while_the_api_server_is_down_what_is_held_serves_on() -> None:
    cluster = Cluster()
    one = a_replica(cluster)
    await one.look()
    leaf = one.leaf
    cluster.down = True
    await one.look()
    assert not one.own.leads
    assert one.leaf == leaf
    await one.own.release()
    cluster.down = False
    two = a_replica(cluster, "one")
    await two.look()
    assert two.leaf == leaf


async def test_a_certificate_is_shown_only_once_it_is_stored() -> None:
    cluster = Cluster()

    class ReadOnly(SkewedApi):
        async def _patch(self, path: str, *rest: Any) -> Any:
            if path == OBJECTS.secret:
                raise KubeError("the API server answered 403", status=403)
            return await cluster.patch(path, *rest)

    clock = HandClock()
    api = ReadOnly(cluster, clock)
    api.patch = api._patch
    one = a_replica(cluster, clock=clock, api=api)
    await one.look()
    assert one.served.shown is None
    assert cluster.bundles() == [None, None, None]


# --- clocks ---


@pytest.mark.parametrize("ahead_s", [-400 * DAY, -2 * DAY, 2 * DAY, 400 * DAY])
async def test_a_leader_whose_clock_is_off_issues_by_the_api_servers_time(ahead_s: float) -> None:
    cluster = Cluster()
    off = a_replica(cluster, "off", clock=HandClock(ahead_s=ahead_s))
    await off.look()
    certificate = x509.load_der_x509_certificate(off.leaf)
    assert certificate.not_valid_before_utc.timestamp() < NOW
    assert certificate.not_valid_after_utc.timestamp() == NOW + DAY


async def test_replicas_whose_clocks_disagree_do_not_renew_in_turns() -> None:
    cluster = Cluster()
    behind = a_replica(cluster, "behind", clock=HandClock(ahead_s=-30 * DAY))
    ahead = a_replica(cluster, "ahead", clock=HandClock(ahead_s=30 * DAY))
    await behind.look()
    leaf = behind.leaf
    for _ in range(4):
        for replica in (behind, ahead):
            await replica.own.release()
            replica.own._leaves = False
        for replica in (ahead, behind):
            await replica.look()
    assert ahead.leaf == behind.leaf == leaf
