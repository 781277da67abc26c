"""The API server is asked by name, with the token of the moment, and believed about the time."""

from pathlib import Path

import pytest

from outrider.core.errors import ConfigError
from outrider.injector.kube import (
    ConflictError,
    KubeApi,
    KubeError,
    KubeSettings,
    Patch,
    api_url,
)
from tests.support.kube_api import OBJECTS, KubeServer
from tests.support.tls import an_authority


def a_client(server: KubeServer, *, timeout_s: float = 5.0) -> KubeApi:
    return KubeApi(KubeSettings(url=server.url, directory=server.account, timeout_s=timeout_s))


async def test_objects_are_read_and_patched(tmp_path: Path) -> None:
    async with KubeServer(tmp_path) as server:
        api = a_client(server)
        lease = await api.get(OBJECTS.lease)
        change = {"metadata": lease["metadata"], "spec": {"holderIdentity": "one"}}
        written = await api.patch(OBJECTS.lease, change, Patch.MERGE)
        assert written["spec"] == {"holderIdentity": "one"}
        assert server.cluster.holder == "one"


async def test_a_patch_of_an_older_version_is_a_conflict(tmp_path: Path) -> None:
    async with KubeServer(tmp_path) as server:
        api = a_client(server)
        lease = await api.get(OBJECTS.lease)
        server.cluster.touch(OBJECTS.lease, spec={"holderIdentity": "two"})
        with pytest.raises(ConflictError):
            await api.patch(OBJECTS.lease, {"metadata": lease["metadata"], "spec": {}}, Patch.MERGE)
        assert server.cluster.holder == "two"


async def test_the_token_is_read_again_for_each_call(tmp_path: Path) -> None:
    async with KubeServer(tmp_path) as server:
        api = a_client(server)
        await api.get(OBJECTS.lease)
        server.tokens[:] = ["the-next-token"]
        with pytest.raises(KubeError, match="answered 401"):
            await api.get(OBJECTS.lease)
        server.write_account("the-next-token")
        await api.get(OBJECTS.lease)


async def test_the_ca_is_read_again_for_each_call(tmp_path: Path) -> None:
    async with KubeServer(tmp_path) as server:
        api = a_client(server)
        (server.account / "ca.crt").write_bytes(an_authority().pem)
        with pytest.raises(KubeError, match="cannot be reached"):
            await api.get(OBJECTS.lease)
        server.write_account()
        await api.get(OBJECTS.lease)


@pytest.mark.parametrize("name", ["token", "ca.crt"])
async def test_without_an_account_nobody_is_called(tmp_path: Path, name: str) -> None:
    async with KubeServer(tmp_path) as server:
        (server.account / name).unlink()
        with pytest.raises(KubeError, match=rf"{name} cannot be read"):
            await a_client(server).get(OBJECTS.lease)
        assert server.cluster.calls == []


@pytest.mark.parametrize("token", ["", "schlüssel"])
async def test_a_token_that_is_none_is_not_sent(tmp_path: Path, token: str) -> None:
    async with KubeServer(tmp_path) as server:
        server.write_account(token)
        with pytest.raises(KubeError, match="token cannot be used"):
            await a_client(server).get(OBJECTS.lease)


async def test_an_api_server_that_is_silent_is_given_up(tmp_path: Path) -> None:
    async with KubeServer(tmp_path, slow_s=0.6) as server:
        with pytest.raises(KubeError, match="did not answer in time"):
            await a_client(server, timeout_s=0.2).get(OBJECTS.lease)


async def test_an_api_server_that_is_gone_is_told_in_words(tmp_path: Path) -> None:
    async with KubeServer(tmp_path) as server:
        api = a_client(server)
    with pytest.raises(KubeError, match="cannot be reached") as caught:
        await api.get(OBJECTS.lease)
    assert caught.value.status is None


async def test_what_is_not_there_is_told_with_its_status(tmp_path: Path) -> None:
    async with KubeServer(tmp_path) as server:
        with pytest.raises(KubeError, match="answered 404") as caught:
            await a_client(server).get("/api/v1/namespaces/x/secrets/y")
        assert caught.value.status == 404


@pytest.mark.parametrize(
    ("skew_s", "told_s"),
    [
        pytest.param(172_800.0, 172_800, id="two-days-ahead"),
        pytest.param(-172_800.0, -172_800, id="two-days-behind"),
        pytest.param(2.0, 0, id="within-what-a-call-takes"),
    ],
)
async def test_the_api_servers_time_is_taken_from_its_answer(
    tmp_path: Path, skew_s: float, told_s: float
) -> None:
    async with KubeServer(tmp_path, skew_s=skew_s) as server:
        api = a_client(server)
        assert api.ahead_s == 0
        await api.get(OBJECTS.lease)
        assert api.ahead_s == pytest.approx(told_s, abs=3.0)


@pytest.mark.parametrize(
    ("configured", "environ", "url"),
    [
        pytest.param("https://10.0.0.1:6443/", {}, "https://10.0.0.1:6443", id="configured"),
        pytest.param(
            None,
            {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"},
            "https://10.96.0.1:443",
            id="of-a-pod",
        ),
        pytest.param(
            None,
            {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"},
            "https://[fd00::1]:443",
            id="ipv6",
        ),
    ],
)
def test_the_api_server_is_where_settings_or_the_pod_say(
    configured: str | None, environ: dict[str, str], url: str
) -> None:
    assert api_url(configured, environ) == url


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"KUBERNETES_SERVICE_HOST": "x"},
        {"KUBERNETES_SERVICE_HOST": "x", "KUBERNETES_SERVICE_PORT": "tcp://1"},
    ],
)
def test_outside_a_pod_it_must_be_configured(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"certificates\.api\.url is not set"):
        api_url(None, environ)
