"""The injector as pods meet it: a process, an API server, certificates that come and go."""

import asyncio
import base64
import signal
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from outrider.injector.authority import Held, Terms, data_of, first
from tests.support.injector import (
    SERVICE,
    Mount,
    a_pod,
    a_request,
    a_review,
    calling,
    trusting,
    until,
)
from tests.support.injector_process import (
    InjectorChild,
    an_injector,
    an_injector_here,
    answered,
    own_certificates,
)
from tests.support.kube_api import OBJECTS, KubeServer
from tests.support.net import RawClient
from tests.support.tls import an_authority

DAY = 86_400.0


def believed(server: KubeServer) -> ssl.SSLContext:
    """What an API server verifies by now: the caBundle of the first entry."""
    bundle = server.cluster.bundles()[0]
    assert bundle
    return trusting(base64.b64decode(bundle))


class Callers:
    """API servers that ask without a pause, each on a new connection; every failure is kept."""

    def __init__(self, server: KubeServer, *children: InjectorChild) -> None:
        self._server, self._children = server, children
        self.answered = 0
        self.failures: list[str] = []

    async def run(self) -> None:
        while True:
            for child in self._children:
                try:
                    answered(await child.asked(believed(self._server)))
                except (OSError, AssertionError, asyncio.IncompleteReadError) as fault:
                    self.failures.append(repr(fault))
                self.answered += 1
                await asyncio.sleep(0)


@asynccontextmanager
async def called(callers: Any) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        job = group.create_task(callers.run())
        yield
        job.cancel()


async def waited(holds: Any, limit_s: float = 15.0) -> None:
    async with asyncio.timeout(limit_s):
        while not await holds():  # noqa: ASYNC110 - it is another process's state
            await asyncio.sleep(0.05)


# --- certificates of its own ---


async def test_out_of_empty_objects_comes_a_webhook_that_injects(tmp_path: Path) -> None:
    async with (
        KubeServer(tmp_path) as server,
        an_injector(tmp_path, own_certificates(server)) as one,
    ):
        await one.ready()
        assert server.cluster.holder == "one"
        response = answered(await one.asked(believed(server)))
        assert response["allowed"], response
        assert response["patchType"] == "JSONPatch"
        denied = a_review(a_pod(hostNetwork=True))
        response = answered(await one.asked(believed(server), a_request(denied)))
        assert not response["allowed"]
        assert "hostNetwork" in response["status"]["message"]
        injected = 'injector_admissions_total{reason="ok",verdict="injected"}'
        assert await one.metric(injected) == 1, "and the rehearsals count nowhere"
        refused = 'injector_admissions_total{reason="host_namespace",verdict="denied"}'
        assert await one.metric(refused) == 1
        assert await one.metric("injector_ca_bundle_in_sync") == 1
        assert await one.metric("injector_certificate_lifetime_seconds") == pytest.approx(
            DAY + 600, abs=2
        )
        assert (await one.telemetry("/livez")).status == 200


async def test_two_replicas_race_and_show_one_certificate(tmp_path: Path) -> None:
    async with (
        KubeServer(tmp_path) as server,
        an_injector_here(tmp_path, own_certificates(server), name="one") as one,
        an_injector_here(tmp_path, own_certificates(server), name="two") as two,
    ):
        await one.ready()
        await two.ready()
        for child in (one, two):
            assert answered(await child.asked(believed(server)))["allowed"]
        written = [path for method, path in server.cluster.calls if method == "PATCH"]
        assert written.count(OBJECTS.secret) == 1
        assert written.count(OBJECTS.configuration) == 1


async def test_a_leader_that_is_killed_is_followed_and_one_that_leaves_lets_go(
    tmp_path: Path,
) -> None:
    async with (
        KubeServer(tmp_path) as server,
        an_injector_here(tmp_path, own_certificates(server), name="two") as two,
        an_injector(tmp_path, own_certificates(server), name="one") as one,
    ):
        await two.ready()
        await one.ready()
        stored = server.cluster.data
        server.cluster.touch(OBJECTS.lease, spec={"holderIdentity": "one", "renewTime": "now"})
        await until(lambda: "renewTime" in server.cluster.objects[OBJECTS.lease]["spec"])
        one.signal(signal.SIGKILL)
        await until(lambda: server.cluster.holder == "two")
        assert server.cluster.data == stored
        assert answered(await two.asked(believed(server)))["allowed"]
    assert server.cluster.holder == ""


def _aged(days: float) -> Held:
    """A CA that is `days` old, with a certificate of today."""
    terms = Terms(name=SERVICE, ca_s=90 * DAY, leaf_s=DAY)
    long = replace(terms, leaf_s=(days + 1) * DAY)
    return first(long, time.time() - days * DAY)


async def test_a_new_ca_takes_over_and_no_caller_notices(tmp_path: Path) -> None:
    async with KubeServer(tmp_path) as server:
        aged = _aged(61)
        server.cluster.touch(OBJECTS.secret, data=data_of(aged))
        async with (
            an_injector_here(tmp_path, own_certificates(server), name="one") as one,
            an_injector_here(tmp_path, own_certificates(server), name="two") as two,
        ):
            await one.ready()
            await two.ready()
            callers = Callers(server, one, two)
            async with called(callers):
                await until(
                    lambda: (
                        "retired.json" in server.cluster.data
                        and server.cluster.data["ca.crt"] != data_of(aged)["ca.crt"]
                        and "next-ca.crt" not in server.cluster.data
                    )
                )
                await asyncio.sleep(1.0)  # both have looked since
            assert callers.failures == []
            assert callers.answered > 20
            bundle = base64.b64decode(server.cluster.bundles()[0] or "")
            assert aged.ca.certificate.strip() in bundle, "the old CA is still trusted"
            for child in (one, two):
                assert await child.metric("injector_ca_bundle_in_sync") == 1


async def test_a_secret_that_is_lost_is_written_back_and_no_caller_notices(tmp_path: Path) -> None:
    async with (
        KubeServer(tmp_path) as server,
        an_injector_here(tmp_path, own_certificates(server), name="one") as one,
        an_injector_here(tmp_path, own_certificates(server), name="two") as two,
    ):
        await one.ready()
        await two.ready()
        stored = server.cluster.data
        callers = Callers(server, one, two)
        async with called(callers):
            server.cluster.touch(OBJECTS.secret, data=None)
            await until(lambda: bool(server.cluster.data))
            await asyncio.sleep(0.5)
        assert server.cluster.data == stored
        assert callers.failures == []


async def test_while_the_api_server_is_down_pods_are_served_on(tmp_path: Path) -> None:
    async with (
        KubeServer(tmp_path) as server,
        an_injector_here(tmp_path, own_certificates(server)) as one,
    ):
        await one.ready()
        server.cluster.down = True
        await asyncio.sleep(1.0)
        assert answered(await one.asked(believed(server)))["allowed"]
        page = (await one.telemetry("/readyz")).body.decode()
        assert page.startswith("ok\n"), page
        assert "review: degraded: the API server answered 503" in page
        server.cluster.down = False

        async def is_well() -> bool:
            return "degraded" not in (await one.telemetry("/readyz")).body.decode()

        await waited(is_well)


async def test_a_start_without_an_api_server_ends_and_says_what_it_waited_for(
    tmp_path: Path,
) -> None:
    server = KubeServer(tmp_path)
    async with server:
        pass
    async with an_injector(tmp_path, own_certificates(server), startupTimeoutS=1.5) as one:
        assert await one.ended() == 1
        said = await one.said()
    assert "cannot start: certificate: no certificate is held yet" in said
    assert "the API server cannot be reached" in said


async def test_an_api_server_two_days_ahead_gets_certificates_of_its_own_time(
    tmp_path: Path,
) -> None:
    server = KubeServer(tmp_path, skew_s=2 * DAY)
    async with server, an_injector_here(tmp_path, own_certificates(server)) as one:
        await one.ready()
        until_s = await one.metric("injector_certificate_not_after_timestamp_seconds")
        assert until_s == pytest.approx(time.time() + 3 * DAY, abs=60)


# --- certificates of others ---


async def test_a_certificate_that_is_swapped_under_load_loses_no_request(tmp_path: Path) -> None:
    authority = an_authority()
    (tmp_path / "certs").mkdir()
    mount = Mount(tmp_path / "certs")
    mount.write(authority.issue(SERVICE), ca=authority.pem)
    provided = {"mode": "provided", "directory": str(mount.room)}
    async with an_injector_here(tmp_path, provided) as one:
        await one.ready()
        tls, shown, failures, count = trusting(authority.pem), set[bytes](), list[str](), 0

        async def kept() -> None:
            """One connection that is kept, as API servers keep theirs."""
            nonlocal count
            async with calling(one.port, tls) as (reader, writer):
                client = RawClient(reader, writer)
                while True:
                    await client.send(a_request(a_review()))
                    if (await client.answer()).status != 200:
                        failures.append("status")
                    count += 1

        async def anew() -> None:
            while True:
                async with calling(one.port, tls) as (reader, writer):
                    shown.add(writer.get_extra_info("ssl_object").getpeercert(True))
                    client = RawClient(reader, writer)
                    await client.send(a_request(a_review()))
                    if (await client.answer()).status != 200:
                        failures.append("status")

        async with asyncio.TaskGroup() as group:
            jobs = [group.create_task(kept()), group.create_task(anew())]
            for generation in (2, 3):
                mount.write(authority.issue(SERVICE), ca=authority.pem)
                await until(lambda seen=generation: len(shown) >= seen)  # type: ignore[misc]
            for job in jobs:
                job.cancel()
        assert failures == []
        assert len(shown) == 3
        assert count > 50
        assert await one.metric("injector_ca_bundle_in_sync") is None


# --- leaving ---


async def test_told_to_leave_it_is_not_ready_and_serves_on_for_a_while(tmp_path: Path) -> None:
    authority = an_authority()
    (tmp_path / "certs").mkdir()
    mount = Mount(tmp_path / "certs")
    mount.write(authority.issue(SERVICE), ca=authority.pem)
    provided = {"mode": "provided", "directory": str(mount.room)}
    async with an_injector(tmp_path, provided, webhook={"delayS": 1.5}) as one:
        await one.ready()
        tls = trusting(authority.pem)
        async with calling(one.port, tls) as (reader, writer):
            writer.write(a_request(a_review())[:-5])  # under way when the end is near
            await writer.drain()
            one.signal(signal.SIGTERM)

            async def is_leaving() -> bool:
                return not await one.is_ready()

            await waited(is_leaving)
            page = (await one.telemetry("/readyz")).body.decode()
            assert "draining: this replica is leaving" in page
            answer = await one.asked(tls)
            assert answered(answer)["allowed"]
            assert answer.field("connection") == "close"
            await asyncio.sleep(1.0)
            writer.write(a_review()[-5:])
            assert (await RawClient(reader, writer).answer()).status == 200
        assert await one.ended() == 0
