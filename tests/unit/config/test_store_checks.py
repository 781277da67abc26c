"""The store's settings: where a shared server may be, and how it may be spoken to."""

import pytest

from outrider.config.settings import Settings
from outrider.config.store_checks import RedisUrl, redis_url, store_faults
from outrider.config.store_settings import Redis, Stores


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://127.0.0.1", RedisUrl(host="127.0.0.1")),
        ("rediss://s.test:80/3", RedisUrl(host="s.test", port=80, database=3, tls=True)),
        ("redis://[::1]:7000", RedisUrl(host="::1", port=7000)),
        ("unix:///run/redis/redis.sock", RedisUrl(path="/run/redis/redis.sock")),
    ],
)  # fmt: skip
def test_a_url_is_taken_apart(text: str, expected: RedisUrl) -> None:
    assert redis_url(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1",
        "redis://",
        "redis://user:secret@127.0.0.1",
        "redis://127.0.0.1:0",
        "redis://127.0.0.1:65536",
        "redis://127.0.0.1/x",
        "redis://127.0.0.1?ssl_cert_reqs=none",
        "unix://run/redis.sock",
        "unix:///run/redis.sock?db=1",
        "unix:///" + "x" * 107,
        "redis://a b",
        "redis://127.0.0.1\n",
    ],
)
def test_what_is_no_such_url_is_refused(text: str) -> None:
    assert redis_url(text) is None
    assert [one.key for one in _faults(url=text)] == ["stores.redis.url"]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        pytest.param({"url": None}, "stores.redis.url", id="no-server"),
        pytest.param({"url": "redis://10.0.0.1"}, "stores.redis.url", id="plain-and-far"),
        pytest.param({"url": "redis://localhost.evil.test"}, "stores.redis.url", id="not-local"),
        pytest.param({"ca_file": "ca.pem"}, "stores.redis.ca_file", id="a-ca-without-tls"),
        pytest.param({"username": "pep"}, "stores.redis.password_file", id="user-alone"),
    ],
)
def test_each_rule_refuses_with_its_key(changes: dict[str, str | None], key: str) -> None:
    assert [one.key for one in _faults(**changes)] == [key]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="loopback"),
        pytest.param({"url": "redis://localhost:6379"}, id="localhost"),
        pytest.param({"url": "redis://[::1]"}, id="loopback-of-v6"),
        pytest.param({"url": "unix:///run/redis.sock"}, id="socket"),
        pytest.param({"url": "rediss://10.0.0.1", "ca_file": "ca.pem"}, id="tls"),
        pytest.param({"url": "redis://10.0.0.1", "allow_plain": True}, id="plain-and-told-so"),
        pytest.param({"username": "pep", "password_file": "p"}, id="user-and-password"),
    ],
)
def test_the_near_miss_of_each_rule_passes(changes: dict[str, str]) -> None:
    assert _faults(**changes) == []


def test_a_server_that_is_not_used_is_held_to_the_rules_too() -> None:
    stores = Stores(kind="sqlite", redis=Redis(url="redis://10.0.0.1"))
    assert [one.key for one in store_faults(Settings(stores=stores))] == ["stores.redis.url"]
    assert list(store_faults(Settings())) == []


def _faults(**changes: object) -> list[object]:
    given = {"url": "redis://127.0.0.1:6379"} | changes
    return list(store_faults(Settings(stores=Stores(kind="redis", redis=Redis(**given)))))
