import pytest

from outrider.protocols.gate_names import KNOWN, Kind, field_of


@pytest.mark.parametrize(
    ("raw", "name", "kind"),
    [
        (b"Host", "host", Kind.CHECK),
        (b"hOsT", "host", Kind.CHECK),
        (b"X-Envoy-Whatever", "x-envoy-whatever", Kind.DROP),
        (b"Mcp-Session-Id", "mcp-session-id", Kind.ONE),
        (b"Mcp-Param-City", "mcp-param-city", Kind.ONE),
        (b"Proxy-Anything", "proxy-anything", Kind.HOP),
        (b"Outrider-Anything", "outrider-anything", Kind.REFUSE),
        (b"Outrider-Instance", "outrider-instance", Kind.CHECK),
        (b"X-Mine", "x-mine", Kind.KEEP),
        (b"x-forwarded", "x-forwarded", Kind.KEEP),
        (b"X-Forwarded-User", "x-forwarded-user", Kind.DROP),
        (b"SSL-Client-Verify", "ssl-client-verify", Kind.DROP),
        (b"Client-Cert", "client-cert", Kind.DROP),
        (b"Client-Cert-Chain", "client-cert-chain", Kind.DROP),
        (b"Client-Certs", "client-certs", Kind.KEEP),
        (b"client.cert", "client.cert", Kind.REFUSE),
        (b"X-Apigateway-Api-Userinfo", "x-apigateway-api-userinfo", Kind.DROP),
        (b"X-Amzn-Oidc-Identity", "x-amzn-oidc-identity", Kind.DROP),
        (b"X-Amzn-Mtls-Clientcert-Leaf", "x-amzn-mtls-clientcert-leaf", Kind.DROP),
        (b"X-Amzn-Trace-Id", "x-amzn-trace-id", Kind.KEEP),
        (b"X-Goog-Iap-Jwt-Assertion", "x-goog-iap-jwt-assertion", Kind.DROP),
        (b"X-Goog-Authenticated-User-Email", "x-goog-authenticated-user-email", Kind.DROP),
        (b"X-Goog-User-Project", "x-goog-user-project", Kind.KEEP),
        (b"X-Ms-Client-Principal", "x-ms-client-principal", Kind.DROP),
        (b"X-Ms-Client-Principal-Name", "x-ms-client-principal-name", Kind.DROP),
        (b"X-Ms-Token-Aad-Id-Token", "x-ms-token-aad-id-token", Kind.DROP),
        (b"X-Ms-Client-Request-Id", "x-ms-client-request-id", Kind.KEEP),
        (b"Cf-Access-Jwt-Assertion", "cf-access-jwt-assertion", Kind.DROP),
        (b"CF-Access-Authenticated-User-Email", "cf-access-authenticated-user-email", Kind.DROP),
        (b"Tailscale-User-Login", "tailscale-user-login", Kind.DROP),
        (b"tailscale~user.login", "tailscale~user.login", Kind.REFUSE),
        (b"X-Middleware-Subrequest", "x-middleware-subrequest", Kind.DROP),
        (b"x.ssl.client.cert", "x.ssl.client.cert", Kind.REFUSE),
        (b"x.real.ip", "x.real.ip", Kind.REFUSE),
        (b"a.b", "a.b", Kind.KEEP),
    ],
)
def test_a_name_has_one_kind_in_every_spelling(raw, name, kind):
    assert field_of(raw) == (name, kind)


@pytest.mark.parametrize("raw", [b"", b"a_b", b"a b", b"a:b", b"\xff", b"a\x00"])
def test_what_is_no_token_has_none(raw):
    assert field_of(raw) is None


def test_the_table_of_spellings_agrees_with_the_slow_way():
    assert all(field_of(raw) == field for raw, field in KNOWN.items())
