import ssl

import pytest

from outrider.config.limit_settings import Limits
from outrider.config.upstream_settings import Upstream
from outrider.core.errors import ConfigError
from outrider.server.origin import client_context, origin_of, pool_limits
from tests.support.tls import an_authority


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "tls"),
    [
        ("http://crm.internal/base", "crm.internal", 80, "crm.internal", False),
        ("http://crm.internal:8080", "crm.internal", 8080, "crm.internal:8080", False),
        ("https://api.example.com", "api.example.com", 443, "api.example.com", True),
        ("https://[::1]:8443/x", "::1", 8443, "[::1]:8443", True),
    ],
)
def test_an_origin_is_read_from_its_url(url, host, port, authority, tls):
    origin = origin_of("crm", Upstream(url=url))
    assert (origin.host, origin.port, origin.authority) == (host, port, authority)
    assert (origin.tls is not None) is tls


@pytest.mark.parametrize("url", ["ftp://a", "http://", "a.b", "http://u:p@a"])
def test_what_is_no_origin_is_refused_by_name(url):
    with pytest.raises(ConfigError, match=r"upstreams\.crm\.url"):
        origin_of("crm", Upstream(url=url))


def test_a_context_verifies():
    context = client_context(None)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert not context.hostname_checks_common_name
    assert context.options & ssl.OP_NO_RENEGOTIATION


def test_the_keys_of_sessions_are_written_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    assert client_context(None).keylog_filename is None
    assert not (tmp_path / "keys").exists()


def test_cas_of_its_own_are_the_only_ones(tmp_path):
    (tmp_path / "ca.pem").write_bytes(an_authority().pem)
    context = client_context(str(tmp_path / "ca.pem"))
    assert context.cert_store_stats() == {"x509": 1, "crl": 0, "x509_ca": 1}


@pytest.mark.parametrize("content", [None, b"", b"x"], ids=["missing", "empty", "not-pem"])
def test_cas_that_cannot_be_read_are_refused_by_name(tmp_path, content):
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    with pytest.raises(ConfigError, match=r"upstreams\.crm\.ca_file is '.*ca\.pem'; give a PEM"):
        origin_of("crm", Upstream(url="https://a.test", ca_file=str(tmp_path / "ca.pem")))


def test_limits_carry_over():
    limits = pool_limits(Limits(connect_s=1.5, breaker_failures=3))
    assert (limits.connect_s, limits.breaker_failures) == (1.5, 3)
