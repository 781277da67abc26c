"""Settings of upstreams let nothing through, and nothing reach the agent, that is not said."""

from outrider.config.upstream_settings import FileCredential, HttpOptions, McpOptions, Upstream


def test_an_upstream_reaches_no_network_and_shows_no_credential_unless_said():
    upstream = Upstream(url="https://crm.test")
    assert (upstream.networks, upstream.hosts, upstream.prefix) == ((), (), None)
    assert (upstream.credential, upstream.set_cookie) == (None, False)
    assert (upstream.protocol, upstream.direction) == ("http", "egress")
    assert upstream.tls.spiffe is None


def test_http_is_judged_and_read_one_way_only_unless_said():
    options = HttpOptions()
    assert (options.body, options.body_methods) == ("judged", ())
    loose = (options.encoded_slash, options.semicolon, options.case_insensitive)
    assert loose == (False, False, False)


def test_mcp_refuses_batches_and_remembers_what_it_saw_first():
    options = McpOptions()
    assert (options.batch, options.pinning, options.structured_output) == (
        "refuse",
        "record",
        "alert",
    )
    assert (options.list_pages, options.list_items) == (20, 1000)


def test_a_credential_goes_to_no_upstream_unless_said():
    credential = FileCredential(file="token")
    assert (credential.upstreams, credential.header) == ((), "authorization")
