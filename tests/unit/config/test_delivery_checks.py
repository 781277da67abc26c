"""What the settings of policy's delivery may be together."""

from typing import Any

import pytest

from outrider.config.delivery_checks import BundleUrl, bundle_url
from outrider.config.load import validate
from outrider.core.errors import ConfigError

WEB = "https://p.test/b.tar.gz"
OCI = "oci://reg.test/acme/policy:prod"
KEYS = {"keys": {"release": {"file": "release.pem"}}}
DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (WEB, BundleUrl(origin="https://p.test", host="p.test", path="/b.tar.gz")),
        (
            "http://127.0.0.1:80/b",
            BundleUrl(origin="http://127.0.0.1:80", host="127.0.0.1", path="/b"),
        ),
        (
            OCI,
            BundleUrl(
                origin="https://reg.test", host="reg.test", repository="acme/policy",
                reference="prod",
            ),
        ),
        (
            f"oci+http://[::1]:5000/policy:1.0@{DIGEST}",
            BundleUrl(
                origin="http://[::1]:5000", host="::1", repository="policy", reference=DIGEST
            ),
        ),
    ],
)  # fmt: skip
def test_reads_a_url(text: str, meant: BundleUrl) -> None:
    assert bundle_url(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "", "p.test/b", "https://p.test", "https://u:p@p.test/b", "https://p.test/b?x=1",
        "https://p.test/b#x", "https://p.test:0/b", "https://p.test:70000/b", "https://p.test/ b",
        "oci://reg.test/policy", "oci://reg.test/Policy:x", "oci://reg.test/a/../b:x",
        "oci://reg.test/a:x@sha256:1", "oci://reg.test/a//b:x", f"oci://reg.test/{'a' * 256}:x",
        "oci://reg.test:99999/a:x", "file:///b",
    ],
)  # fmt: skip
def test_refuses_a_url(text: str) -> None:
    assert bundle_url(text) is None
    with pytest.raises(ConfigError, match=r"policy\.bundle\.url"):
        validate({"policy": {"bundle": {"url": text}, "signature": KEYS}})


@pytest.mark.parametrize(
    ("host", "near"), [("localhost", True), ("[::1]", True), ("10.0.0.1", False)]
)
def test_knows_what_is_near(host: str, near: bool) -> None:
    url = bundle_url(f"http://{host}/b")
    assert url is not None
    assert url.is_near is near


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        pytest.param({"path": "x"}, r"policy\.path is 'x'; leave it out", id="a-path-too"),
        pytest.param({"signature": {}}, r"policy\.signature\.keys", id="no-key"),
        pytest.param({"bundle": {"url": "http://p.test/b"}}, "plain http only", id="plain"),
        pytest.param({"bundle": {"url": "oci+http://p.test/b:1"}}, "plain", id="plain-registry"),
        pytest.param(
            {"bundle": {"url": "http://p.test/b", "allow_plain": True, "token_file": "t"}},
            "never travels plain", id="a-token-in-plain",
        ),
        pytest.param({"bundle": {"url": WEB, "username": "u"}}, "password_file", id="no-password"),
        pytest.param({"bundle": {"url": OCI, "password_file": "p"}}, "username", id="no-user"),
        pytest.param(
            {"bundle": {"url": WEB, "username": "u", "password_file": "p"}}, "leave it out",
            id="a-user-for-the-web",
        ),
        pytest.param(
            {"bundle": {"url": WEB, "expect": ["spiffe://a.test/x"]}}, r"identity\.source",
            id="spiffe-without-a-source",
        ),
        pytest.param({"bundle": {"url": WEB, "expect": ["x"]}}, "SPIFFE IDs", id="no-spiffe-id"),
        pytest.param(
            {"bundle": {"url": "http://127.0.0.1/b", "ca_file": "c"}}, "no https", id="ca-in-plain"
        ),
        pytest.param(
            {"bundle": {"url": WEB, "expect": ["spiffe://a.test/x"], "ca_file": "c"}}, "ca_file",
            id="two-ways-to-prove",
        ),
        pytest.param({"bundle": {"url": OCI, "redirect_hosts": ["https://x"]}}, "host or host:port",
                     id="a-url-for-a-host"),
    ],
)  # fmt: skip
def test_refuses(policy: dict[str, Any], told: str) -> None:
    whole = {"bundle": {"url": WEB}, "signature": KEYS} | policy
    with pytest.raises(ConfigError, match=told):
        validate({"policy": whole})


def test_local_policy_that_must_be_signed_needs_a_key() -> None:
    with pytest.raises(ConfigError, match=r"policy\.signature\.keys"):
        validate({"policy": {"path": "x", "signature": {"local": "required"}}})
    validate({"policy": {"signature": {"local": "required"}}})
    validate({"policy": {"path": "x", "signature": {"local": "required", **KEYS}}})


def test_what_is_fetched_goes_stale_and_what_lies_here_does_not() -> None:
    fetched = validate({"policy": {"bundle": {"url": WEB}, "signature": KEYS}}).policy
    assert fetched.max_staleness_s == 3600
    assert validate({}).policy.max_staleness_s == 0
    assert validate({}).policy.signature.local == "unsigned"
    chosen = {"bundle": {"url": WEB}, "signature": KEYS, "max_staleness_s": 0}
    assert validate({"policy": chosen}).policy.max_staleness_s == 0


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/b", "oci+http://localhost:5000/b:1"])
def test_plain_is_taken_on_loopback_and_where_allowed(url: str) -> None:
    validate({"policy": {"bundle": {"url": url}, "signature": KEYS}})
    far = {"url": "http://p.test/b", "allow_plain": True}
    validate({"policy": {"bundle": far, "signature": KEYS}})
    with pytest.raises(ConfigError, match="never in production"):
        validate({"profile": "production", "policy": {"bundle": far, "signature": KEYS}})
