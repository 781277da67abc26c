"""Who may speak to the shared server, and that it is the one we mean."""

import socket
import ssl
from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives import serialization

from outrider.core.errors import StoreUnavailableError
from outrider.core.ports import Held
from outrider.core.secret import Secret
from outrider.stores.redis_link import RedisLink, RedisPlace
from outrider.stores.redis_states import RedisStates
from tests.support import redis
from tests.support.tls import an_authority

NEEDED = (
    "GET SET HGET HSET DEL PERSIST PEXPIRE ZADD ZREM ZCOUNT ZRANGE ZREMRANGEBYSCORE TIME EVAL "
    "EVALSHA PING"
)
"""As the setting `stores.redis.username` says."""
PASSWORD = "a password of this test"


@pytest.fixture(scope="module")
def guarded():
    """A server with one user, who may do what we say we need, and nothing else."""
    rules = [f"+{name.lower()}" for name in NEEDED.split()]
    try:
        with redis.running(
            "--user", "default", "off",
            "--user", "pep", "on", f">{PASSWORD}", "~test:*", "resetchannels", "-@all", *rules,
        ) as server:  # fmt: skip
            yield server
    except redis.UnavailableError as fault:
        pytest.skip(str(fault))


@asynccontextmanager
async def _states(prefix="test:acl", **place):
    link = RedisLink(RedisPlace(**place), timeout_s=5.0)
    try:
        yield RedisStates(link, prefix=prefix)
    finally:
        await link.close()


def _pep(server, password=PASSWORD):
    return {
        "path": str(server.path),
        "username": "pep",
        "password": Secret(password.encode()),
    }


async def test_a_user_with_the_commands_we_name_is_enough(guarded):
    async with _states(**_pep(guarded)) as states:
        assert await states.swap("books", "a", 0, b"x", life_s=60) is None
        assert await states.swap("books", "a", 1, b"y", durable=True) is None
        assert await states.items("books") == {"a": Held(version=2, value=b"y")}
        assert await states.read("books", "a", 2) is not None
        assert await states.swap("books", "a", 2, None) is None


@pytest.mark.parametrize("wrong", ["password", "nobody", "prefix"])
async def test_whoever_may_not_is_refused_and_nothing_was_done(guarded, wrong):
    place, prefix = _pep(guarded), "test:acl"
    if wrong == "password":
        place = _pep(guarded, "another password")
    elif wrong == "nobody":
        place = {"path": str(guarded.path)}
    else:
        prefix = "other:acl"
    async with _states(prefix, **place) as states:
        with pytest.raises(StoreUnavailableError) as refusal:
            await states.swap("books", "b", 0, b"x")
        assert refusal.value.cause == "refused"


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    """A server behind TLS, with a certificate for its address."""
    room = tmp_path_factory.mktemp("tls")
    authority = an_authority()
    leaf = authority.issue("127.0.0.1")
    key = leaf.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (room / "ca.pem").write_bytes(authority.pem)
    (room / "server.pem").write_bytes(leaf.pem)
    (room / "server.key").write_bytes(key)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    try:
        with redis.running(
            "--bind", "127.0.0.1", "--tls-port", str(port), "--tls-auth-clients", "no",
            "--tls-cert-file", str(room / "server.pem"), "--tls-key-file", str(room / "server.key"),
            "--tls-ca-cert-file", str(room / "ca.pem"),
        ):  # fmt: skip
            yield port, authority
    except redis.UnavailableError as fault:
        pytest.skip(str(fault))


def _trusting(authority):
    return ssl.create_default_context(cadata=authority.pem.decode())


async def test_a_server_that_proves_itself_is_used(secured):
    port, authority = secured
    async with _states(host="127.0.0.1", port=port, tls=_trusting(authority)) as states:
        assert await states.swap("books", "a", 0, b"x" * 100_000) is None
        assert len((await states.read("books", "a")).value) == 100_000


@pytest.mark.parametrize("flaw", ["another-ca", "another-name", "no-tls"])
async def test_a_server_that_does_not_is_never_spoken_to(secured, flaw):
    port, authority = secured
    host = "localhost" if flaw == "another-name" else "127.0.0.1"
    trusted = an_authority("Other CA") if flaw == "another-ca" else authority
    tls = None if flaw == "no-tls" else _trusting(trusted)
    async with _states(host=host, port=port, tls=tls) as states:
        with pytest.raises(StoreUnavailableError) as refusal:
            await states.swap("books", "b", 0, b"x")
        assert refusal.value.cause is None
