"""HARDENING §3 row by row: what passes is one reading, what has two is refused by its own cause."""

import pytest

from outrider.core.vocabulary import Reason
from outrider.protocols.gate import (
    RULINGS,
    GateCause,
    Gated,
    GateError,
    GateRules,
    RouteRules,
    check,
)

HOST = (b"Host", b"api.local")
RULES = GateRules(
    hosts=frozenset(("api.local", "api.local:8443", "[::1]:15001")),
    origins=frozenset(("http://localhost:3000",)),
)


def judge(
    *fields: tuple[bytes, bytes],
    method: str = "GET",
    target: str = "/a",
    version: tuple[int, int] = (1, 1),
    rules: GateRules = RULES,
) -> Gated:
    hosts = () if any(name.lower() == b"host" for name, _ in fields) else (HOST,)
    return check(method, target, version, (*hosts, *fields), rules)


def refusal(*fields: tuple[bytes, bytes], **changes: object) -> GateError:
    with pytest.raises(GateError) as caught:
        judge(*fields, **changes)  # type: ignore[arg-type]
    return caught.value


def opted(**options: object) -> GateRules:
    route = RouteRules(**options)  # type: ignore[arg-type]
    return GateRules(hosts=RULES.hosts, route=lambda _host, _path: route)


@pytest.mark.parametrize("cause", list(GateCause))
def test_every_cause_has_a_ruling(cause):
    assert 400 <= RULINGS[cause].status <= 505
    assert len(RULINGS[cause].detail) <= 512  # whole in the record
    assert RULINGS[cause].reason in (
        Reason.MALFORMED,
        Reason.TOO_LARGE,
        Reason.UNRECOGNISED,
        Reason.SLOW_CLIENT,
    )


@pytest.mark.parametrize(
    ("method", "version", "cause", "status"),
    [
        pytest.param("GET", (1, 0), GateCause.VERSION, 505, id="http-1.0"),
        pytest.param("GET", (2, 0), GateCause.VERSION, 505, id="http-2.0"),
        pytest.param("TRACE", (1, 1), GateCause.TRACE, 405, id="trace"),
        pytest.param("CONNECT", (1, 1), GateCause.CONNECT, 405, id="connect"),
        pytest.param("PROPFIND", (1, 1), GateCause.METHOD, 501, id="unknown"),
        pytest.param("get", (1, 1), GateCause.METHOD, 501, id="lower-case"),
    ],
)
def test_only_known_methods_of_http_1_1_pass(method, version, cause, status):
    error = refusal(method=method, version=version)
    assert (error.cause, error.status) == (cause, status)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_the_seven_methods_pass(method):
    assert judge(method=method).head.method == method


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        pytest.param("/", "/", id="root"),
        pytest.param("/a/b/", "/a/b/", id="trailing-slash"),
        pytest.param("/v1/a.b.json", "/v1/a.b.json", id="dots-inside"),
        pytest.param("/.well-known/x", "/.well-known/x", id="dot-first"),
        pytest.param("/a:b@c,d=e&f!$'()*+", "/a:b@c,d=e&f!$'()*+", id="sub-delims"),
        pytest.param("/%61%2D%7e", "/a-~", id="unreserved-decoded"),
        pytest.param("/%c3%a9", "/%C3%A9", id="hex-upper-cased"),
        pytest.param("/a%20b", "/a%20b", id="space-inside"),
        pytest.param("/%E2%82%AC", "/%E2%82%AC", id="utf-8"),
    ],
)
def test_a_path_has_one_canonical_form(raw, canonical):
    assert judge(target=raw).head.path == canonical


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("/x/../private", id="advisory-1-CVE-2019-9901"),
        pytest.param("/a%2Fb", id="advisory-2-CVE-2021-29492-slash"),
        pytest.param("/a%5Cb", id="advisory-2-CVE-2021-29492-backslash"),
        pytest.param("//admin", id="advisory-6-CVE-2026-26205"),
        pytest.param("/a#b", id="advisory-3-CVE-2021-32779"),
        pytest.param("/a%23b", id="advisory-3-encoded"),
        pytest.param("/a;x=1/b", id="advisory-4-CVE-2026-73553"),
        pytest.param("/a/..;/b", id="advisory-4-dots"),
        pytest.param("/a%3Fb", id="advisory-9-CVE-2026-32811"),
        pytest.param("/a/.", id="dot-segment"),
        pytest.param("/a/./b", id="dot-segment-inside"),
        pytest.param("/..", id="dots-at-the-end"),
        pytest.param("/a/%2e%2e/b", id="encoded-dots"),
        pytest.param("/a/%2E./b", id="mixed-dots"),
        pytest.param("/a./b", id="segment-ends-in-a-dot"),
        pytest.param("/a%2e/b", id="segment-ends-in-an-encoded-dot"),
        pytest.param("/%20a", id="space-first"),
        pytest.param("/a%20/b", id="space-last"),
        pytest.param("/a%00", id="nul"),
        pytest.param("/a%0d%0a", id="crlf"),
        pytest.param("/a%7f", id="del"),
        pytest.param("/a%c2%85", id="c1-control"),
        pytest.param("/a%25 2e", id="raw-space"),
        pytest.param("/a%252e", id="double-encoding"),
        pytest.param("/a%c0%ae", id="overlong"),
        pytest.param("/a%ff", id="not-utf-8"),
        pytest.param("/a%EF%BC%8F", id="full-width-slash"),
        pytest.param("/a%ef%bc%ae%ef%bc%ae", id="text-nfkc-changes"),
        pytest.param("/a%2", id="half-a-triplet"),
        pytest.param("/a%zz", id="no-hex"),
        pytest.param("/a\\b", id="backslash"),
        pytest.param("/a b", id="space"),
        pytest.param("/a\udc80", id="raw-bytes"),
        pytest.param("/é", id="raw-utf-8"),
        pytest.param("/a|b", id="pipe"),
    ],
)
def test_a_path_with_two_readings_is_refused(raw):
    error = refusal(target=raw)
    assert (error.cause, error.status, error.reason) == (
        GateCause.PATH,
        400,
        Reason.MALFORMED,
    )


def test_encoded_slashes_pass_raw_where_a_route_opts_in():
    rules = opted(encoded_slash=True)
    assert judge(target="/p/a%2fb/%7e", rules=rules).head.path == "/p/a%2fb/~"


@pytest.mark.parametrize("raw", ["/a%2f..%2fb", "/a%2F%2e%2e", "/..%2Fa", "/a%2f%00", "/a%2f%5c"])
def test_an_opted_in_slash_brings_no_dot_segment_with_it(raw):
    assert refusal(target=raw, rules=opted(encoded_slash=True)).cause is GateCause.PATH


def test_semicolons_pass_where_a_route_opts_in():
    assert judge(target="/a;v=1/b", rules=opted(semicolon=True)).head.path == "/a;v=1/b"
    assert refusal(target="/..;/b", rules=opted(semicolon=True)).cause is GateCause.PATH


def test_a_case_insensitive_route_refuses_upper_case():
    rules = opted(case_insensitive=True)
    assert judge(target="/a%C3%A9", rules=rules).head.path == "/a%C3%A9"
    assert refusal(target="/Admin", rules=rules).cause is GateCause.PATH
    assert refusal(target="/%41dmin", rules=rules).cause is GateCause.PATH  # advisory-7


@pytest.mark.parametrize(
    ("target", "ok"),
    [
        pytest.param("/a?x=1&y[]=2|3", True, id="brackets-and-pipe"),
        pytest.param("/a?", True, id="empty"),
        pytest.param("/a?x=%C3%A9?/", True, id="encoded"),
        pytest.param("/a?x=%0a", False, id="encoded-control"),
        pytest.param("/a?x=%00", False, id="encoded-nul"),
        pytest.param("/a?x=%7F", False, id="encoded-del"),
        pytest.param("/a?x=%2", False, id="half-a-triplet"),
        pytest.param("/a?x=#y", False, id="fragment"),
        pytest.param('/a?x="', False, id="quote"),
        pytest.param("/a?x=<", False, id="angle"),
        pytest.param("/a?x=\\", False, id="backslash"),
    ],
)
def test_a_query_holds_query_characters_alone(target, ok):
    if ok:
        assert judge(target=target).head.query == target.partition("?")[2]
    else:
        assert refusal(target=target).cause is GateCause.QUERY


def test_lengths_of_a_target_are_bounded():
    assert judge(target="/" + "a" * 4095).head.path
    assert refusal(target="/" + "a" * 4096).status == 414
    assert judge(target="/?" + "a" * 8192).head.query
    assert refusal(target="/?" + "a" * 8193).cause is GateCause.TARGET_LENGTH
    assert refusal(target="http://" + "a" * 20_000 + "/").cause is GateCause.TARGET_LENGTH


@pytest.mark.parametrize(
    ("host", "cause"),
    [
        pytest.param(b"api.local", None, id="known"),
        pytest.param(b"API.Local", None, id="advisory-11-CVE-2021-39155-case"),
        pytest.param(b"api.local:8443", None, id="port"),
        pytest.param(b"[::1]:15001", None, id="v6"),
        pytest.param(b"other.local", GateCause.UNKNOWN_HOST, id="unknown"),
        pytest.param(b"api.local:1", GateCause.UNKNOWN_HOST, id="unknown-port"),
        pytest.param(b"", GateCause.HOST, id="empty"),
        pytest.param(b"api.local.", GateCause.HOST, id="trailing-dot"),
        pytest.param(b"user@api.local", GateCause.HOST, id="userinfo"),
        pytest.param(b"api.local, b", GateCause.HOST, id="list"),
        pytest.param(b"*", GateCause.HOST, id="wildcard"),
        pytest.param(b"api.local:0", GateCause.HOST, id="port-0"),
        pytest.param(b"api.local:65536", GateCause.HOST, id="port-too-high"),
        pytest.param(b"api.local:", GateCause.HOST, id="port-empty"),
        pytest.param(b"a_b", GateCause.HOST, id="underscore"),
        pytest.param(b"[::1", GateCause.HOST, id="half-a-bracket"),
        pytest.param(b"[::g]", GateCause.HOST, id="no-v6"),
        pytest.param(b"-a.local", GateCause.HOST, id="hyphen-first"),
    ],
)
def test_hosts_are_exact(host, cause):
    if cause is None:
        assert judge((b"Host", host)).head.host == host.decode().lower()
    else:
        error = refusal((b"Host", host))
        assert error.cause is cause
        assert error.status == (421 if cause is GateCause.UNKNOWN_HOST else 400)


def test_a_host_set_of_any_size_is_exact():  # advisory-7-CVE-2026-27588
    rules = GateRules(hosts=frozenset(f"h{n}.local" for n in range(500)))
    assert judge((b"Host", b"H499.local"), rules=rules).head.host == "h499.local"
    assert refusal((b"Host", b"h500.local"), rules=rules).cause is GateCause.UNKNOWN_HOST


def test_a_request_without_host_or_with_two_is_refused():
    with pytest.raises(GateError) as caught:
        check("GET", "/", (1, 1), ((b"Accept", b"*/*"),), RULES)
    assert caught.value.cause is GateCause.HOST
    with pytest.raises(GateError) as caught:
        check("GET", "/", (1, 1), (), RULES)
    assert caught.value.cause is GateCause.HOST
    assert refusal(HOST, HOST).cause is GateCause.DUPLICATE  # advisory-12-CVE-2026-34525


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        pytest.param("http://api.local/a?b=1", None, id="absolute"),
        pytest.param("http://API.local/a", GateCause.HOST, id="not-byte-for-byte"),
        pytest.param("http://other.local/a", GateCause.HOST, id="another-host"),
        pytest.param("http://u@api.local/a", GateCause.HOST, id="userinfo"),
        pytest.param("https://api.local/a", GateCause.TARGET, id="https-without-the-route"),
        pytest.param("ftp://api.local/a", GateCause.TARGET, id="scheme"),
        pytest.param("HTTP://api.local/a", GateCause.TARGET, id="scheme-case"),
        pytest.param("http://api.local", GateCause.TARGET, id="no-path"),
        pytest.param("http:///a", GateCause.TARGET, id="no-authority"),
        pytest.param("http://api.local?x", GateCause.TARGET, id="query-without-path"),
        pytest.param("*", GateCause.ASTERISK, id="asterisk"),
        pytest.param("a/b", GateCause.TARGET, id="relative"),
        pytest.param("api.local:443", GateCause.TARGET, id="authority-form"),
        pytest.param("http://api.local/../a", GateCause.PATH, id="dot-segments"),
    ],
)
def test_targets_are_origin_form_or_absolute_for_the_same_host(target, cause):
    if cause is None:
        head = judge(target=target).head
        assert (head.absolute, head.host, head.path, head.query) == (
            True, "api.local", "/a", "b=1",
        )  # fmt: skip
    else:
        assert refusal(target=target).cause is cause


def test_absolute_https_passes_where_the_route_originates_tls():
    head = judge(target="https://api.local/a", rules=opted(https=True)).head
    assert (head.scheme, head.absolute) == ("https", True)


def test_absolute_form_is_refused_where_the_listener_forbids_it():
    rules = GateRules(hosts=RULES.hosts, absolute=False)
    assert refusal(target="http://api.local/a", rules=rules).cause is GateCause.TARGET


PROVEN = GateRules(hosts=frozenset(), any_host=True, scheme="https", absolute=False)
"""As of a listener on which nobody speaks unproven."""


def test_a_proven_peer_may_name_us_as_it_likes_over_tls() -> None:
    head = judge((b"Host", b"Agent.TEST:8443"), rules=PROVEN).head
    assert (head.scheme, head.host, head.absolute) == ("https", "agent.test:8443", False)


@pytest.mark.parametrize("host", [b"", b"a b", b"u@a", b"a,b", b"a.", b"*", b"a:0", b"[::1"])
def test_a_name_that_is_none_is_refused_whoever_says_it(host: bytes) -> None:
    assert refusal((b"Host", host), rules=PROVEN).cause is GateCause.HOST


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        pytest.param(b"http://localhost:3000", None, id="listed"),
        pytest.param(b"http://LOCALHOST:3000", None, id="case"),
        pytest.param(b"http://evil.example", 403, id="foreign"),
        pytest.param(b"null", 403, id="null"),
        pytest.param(b"http://localhost:3000.evil", 403, id="suffix"),
    ],
)
def test_a_foreign_origin_is_refused(origin, status):
    if status is None:
        assert judge((b"Origin", origin))
    else:
        error = refusal((b"Origin", origin))
        assert (error.status, error.reason) == (status, Reason.UNRECOGNISED)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"a\x00b", id="advisory-14-CVE-2019-9900-nul"),
        pytest.param(b"a\x01", id="control"),
        pytest.param(b"a\nb", id="advisory-26-lf"),
        pytest.param(b"a\rb", id="advisory-26-cr"),
        pytest.param(b"a\x7f", id="del"),
        pytest.param(b"caf\xc3\xa9", id="advisory-18-CVE-2023-27488-utf-8"),
        pytest.param(b"\xff", id="high-byte"),
    ],
)
def test_values_are_printable(value):
    assert refusal((b"X-A", value)).cause is GateCause.FIELD_VALUE


def test_tabs_and_visible_characters_pass():
    assert judge((b"X-A", b"a\t~ !")).head.header("x-a") == "a\t~ !"


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        pytest.param(b"x_a", GateCause.FIELD_NAME, id="advisory-20-underscore"),
        pytest.param(b"X_Forwarded_For", GateCause.FIELD_NAME, id="advisory-20-alias"),
        pytest.param(b"x a", GateCause.FIELD_NAME, id="space"),
        pytest.param(b"x(a", GateCause.FIELD_NAME, id="delimiter"),
        pytest.param(b"", GateCause.FIELD_NAME, id="empty"),
        pytest.param(b"x\xc3\xa9", GateCause.FIELD_NAME, id="not-ascii"),
        pytest.param(b"x.forwarded.for", GateCause.ALIAS, id="dots"),
        pytest.param(b"Mcp.Session.Id", GateCause.ALIAS, id="alias-of-a-single"),
        pytest.param(b"content~length", GateCause.ALIAS, id="alias-of-framing"),
        pytest.param(b"x.envoy.original.path", GateCause.ALIAS, id="alias-of-a-family"),
        pytest.param(b"Outrider-Subject", GateCause.RESERVED, id="advisory-23-ours"),
        pytest.param(b"outrider-instance", GateCause.RESERVED, id="instance-from-a-local-agent"),
    ],
)
def test_names_are_tokens_and_no_alias_of_a_protected_one(name, cause):
    assert refusal((name, b"1")).cause is cause


def test_odd_names_that_alias_nothing_pass():
    assert judge((b"x.trace+id", b"1")).head.header("x.trace+id") == "1"


@pytest.mark.parametrize(
    "name",
    [
        b"Authorization", b"Proxy-Authorization", b"Cookie", b"Content-Type", b"Content-Encoding",
        b"Content-Length", b"Transfer-Encoding", b"Expect", b"Upgrade", b"Connection", b"Accept",
        b"Origin", b"Referer", b"User-Agent", b"Range", b"Traceparent", b"Mcp-Session-Id",
        b"mcp-name", b"Mcp-Anything-At-All", b"A2A-Version", b"a2a-x", b"Outrider-Task",
    ],
)  # fmt: skip
def test_what_may_come_once_comes_once(name):  # advisory-15, advisory-16
    assert refusal((name, b"1"), (name.upper(), b"1")).cause is GateCause.DUPLICATE


def test_what_may_come_often_keeps_every_value():
    head = judge((b"X-A", b"1"), (b"x-a", b"2")).head
    assert head.headers_named("x-a") == ("1", "2")


@pytest.mark.parametrize(
    "name",
    [
        b"Forwarded", b"X-Forwarded-For", b"X-Forwarded-Prefix", b"X-Forwarded-Uri",
        b"X-Forwarded-Client-Cert", b"X-Real-IP", b"True-Client-IP", b"CF-Connecting-IP",
        b"X-Original-URL", b"X-Rewrite-URL", b"x-envoy-original-path", b"X-Envoy-Anything",
        b"X-HTTP-Method-Override", b"X-Auth-Request-User", b"Remote-User", b"X-Remote-User",
        b"X-User-Id", b"X-Agent-Id", b"X-Spiffe-Id", b"Txn-Token", b"X-Request-Id", b"Via",
    ],
)  # fmt: skip
def test_headers_that_speak_for_others_are_dropped_and_counted(name):
    gated = judge((name, b"1"), (b"X-A", b"1"))
    assert (gated.head.headers, gated.dropped) == ((("x-a", "1"),), 1)


@pytest.mark.parametrize(
    "field",
    [
        (b"Connection", b"keep-alive"), (b"Keep-Alive", b"timeout=5"), (b"TE", b"trailers"),
        (b"Trailer", b"X-A"), (b"Proxy-Connection", b"keep-alive"), (b"Proxy-Foo", b"1"),
        (b"HTTP2-Settings", b"AAMAAABkAAQAoAAAAAIAAAAA"), (b"Expect", b"100-continue"),
        (b"Baggage", b"a=b"),
    ],
)  # fmt: skip
def test_what_belongs_to_the_connection_does_not_go_on(field):
    gated = judge(field, (b"X-A", b"1"))
    assert (gated.head.headers, gated.dropped) == ((("x-a", "1"),), 0)


def test_credentials_and_task_names_stay_for_those_who_read_them():
    fields = (
        (b"Authorization", b"Bearer a"),
        (b"Proxy-Authorization", b"Bearer b"),
        (b"Cookie", b"c=d"),
        (b"Outrider-Task", b"t1"),
        (b"Outrider-Delegation", b"x.y.z"),
    )
    kept = tuple((name.decode().lower(), value.decode()) for name, value in fields)
    assert judge(*fields).head.headers == kept


def test_an_instance_is_read_where_the_peer_may_name_one():
    rules = GateRules(hosts=RULES.hosts, instance=True)
    assert judge((b"Outrider-Instance", b"i"), rules=rules).head.header("outrider-instance") == "i"


def test_trace_fields_are_handed_over_apart():
    gated = judge((b"Traceparent", b"00-a"), (b"Tracestate", b"k=v"))
    assert (gated.traceparent, gated.tracestate, gated.head.headers) == ("00-a", "k=v", ())


def test_fields_are_bounded_in_number_and_size():
    assert judge(*((b"x-%d" % n, b"1") for n in range(99)))
    assert refusal(*((b"x-%d" % n, b"1") for n in range(100))).cause is GateCause.FIELD_COUNT
    assert judge(*((b"x-%d" % n, b"a" * 8000) for n in range(4)))
    error = refusal(*((b"x-%d" % n, b"a" * 8180) for n in range(4)))
    assert (error.cause, error.status) == (GateCause.HEAD_LENGTH, 431)


@pytest.mark.parametrize(
    ("value", "ok"),
    [
        pytest.param(b"close", True, id="close"),
        pytest.param(b"Keep-Alive, TE", True, id="list"),
        pytest.param(b"Upgrade, HTTP2-Settings", True, id="h2c"),
        pytest.param(b"X-Forwarded-For", False, id="advisory-19-CVE-2024-45410"),
        pytest.param(b"close, mcp-name", False, id="edge-38-mcp-name"),
        pytest.param(b"close,", False, id="empty-member"),
        pytest.param(b"", False, id="empty"),
    ],
)
def test_connection_removes_nothing_of_the_callers_choice(value, ok):
    if ok:
        assert judge((b"Connection", value))
    else:
        assert refusal((b"Connection", value)).cause is GateCause.CONNECTION


@pytest.mark.parametrize(
    ("field", "cause", "status"),
    [
        pytest.param((b"TE", b"gzip"), GateCause.TE, 400, id="te"),
        pytest.param((b"TE", b"trailers, gzip"), GateCause.TE, 400, id="te-list"),
        pytest.param(
            (b"Range", b"bytes=" + b"0-1," * 8 + b"9-9"), GateCause.RANGE, 416, id="range"
        ),
        pytest.param((b"Expect", b"200-ok"), GateCause.EXPECT, 417, id="expect"),
        pytest.param((b"Upgrade", b"websocket"), GateCause.UPGRADE, 400, id="edge-42-websocket"),
        pytest.param((b"Upgrade", b"TLS/1.2"), GateCause.UPGRADE, 400, id="tls"),
        pytest.param((b"Upgrade", b"h2c, websocket"), GateCause.UPGRADE, 400, id="upgrade-list"),
    ],
)
def test_offers_and_expectations_have_one_form(field, cause, status):
    error = refusal(field)
    assert (error.cause, error.status) == (cause, status)


def test_eight_ranges_pass():
    assert judge((b"Range", b"bytes=" + b"0-1," * 7 + b"9-9")).head.header("range")


def test_an_h2c_offer_is_stripped_and_ends_the_connection():
    gated = judge(
        (b"Connection", b"Upgrade, HTTP2-Settings"),
        (b"Upgrade", b"h2c"),
        (b"HTTP2-Settings", b"AAMA"),
    )
    assert (gated.close, gated.head.headers) == (True, ())


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        pytest.param([(b"Content-Length", b"5")], None, id="length"),
        pytest.param([(b"Transfer-Encoding", b"chunked")], None, id="chunked"),
        pytest.param(
            [(b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked")],
            GateCause.FRAMING,
            id="advisory-25-CVE-2023-47641",
        ),
        pytest.param([(b"Transfer-Encoding", b"Chunked")], GateCause.FRAMING, id="case"),
        pytest.param([(b"Transfer-Encoding", b"gzip, chunked")], GateCause.FRAMING, id="list"),
        pytest.param([(b"Transfer-Encoding", b"xchunked")], GateCause.FRAMING, id="xchunked"),
        pytest.param([(b"Transfer-Encoding", b"")], GateCause.FRAMING, id="empty"),
        pytest.param([(b"Content-Length", b"05")], GateCause.FRAMING, id="leading-zero"),
        pytest.param([(b"Content-Length", b"+5")], GateCause.FRAMING, id="sign"),
        pytest.param([(b"Content-Length", b"5, 5")], GateCause.FRAMING, id="length-list"),
        pytest.param([(b"Content-Length", b"0x5")], GateCause.FRAMING, id="hex"),
        pytest.param([(b"Content-Length", b"9" * 11)], GateCause.FRAMING, id="eleven-digits"),
        pytest.param([(b"Content-Length", b"1048577")], GateCause.BODY_LENGTH, id="over-the-cap"),
        pytest.param([(b"Content-Length", b"1048576")], None, id="at-the-cap"),
    ],
)
def test_a_body_has_one_length(fields, cause):
    if cause is None:
        assert judge(*fields, method="POST").head.has_body
    else:
        assert refusal(*fields, method="POST").cause is cause


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_a_body_needs_a_method_that_has_one(method):
    chunked = (b"Transfer-Encoding", b"chunked")
    assert refusal((b"Content-Length", b"1"), method=method).cause is GateCause.BODY
    assert refusal(chunked, method=method).cause is GateCause.BODY
    assert not judge((b"Content-Length", b"0"), method=method).head.has_body
    rules = opted(body_methods=frozenset((method,)))
    assert judge(chunked, method=method, rules=rules).head.has_body


@pytest.mark.parametrize(
    ("coding", "gzip", "status"),
    [
        pytest.param(b"identity", False, None, id="identity"),
        pytest.param(b"gzip", True, None, id="gzip"),
        pytest.param(b"br", None, 415, id="edge-31-br"),
        pytest.param(b"zstd", None, 415, id="edge-31-zstd"),
        pytest.param(b"gzip, gzip", None, 415, id="edge-31-double"),
        pytest.param(b"GZIP", None, 415, id="case"),
    ],
)
def test_one_gzip_coding_may_be_taken_off(coding, gzip, status):
    fields = ((b"Content-Encoding", coding), (b"Content-Length", b"5"))
    if status is None:
        gated = judge(*fields, method="POST")
        assert (gated.gzip, gated.head.header("content-encoding")) == (gzip, None)
    else:
        assert refusal(*fields, method="POST").status == status


def test_gzip_is_refused_where_nobody_reads_the_body():
    fields = ((b"Content-Encoding", b"gzip"), (b"Content-Length", b"5"))
    assert refusal(*fields, method="POST", rules=opted(gzip=False)).status == 415


@pytest.mark.parametrize(
    ("changes", "cause", "accepted"),
    [
        pytest.param({"target": "/a?x=%0A"}, GateCause.QUERY, "%0A", id="newline-in-a-query"),
        pytest.param({"target": "/a?x={}"}, GateCause.QUERY, "%XX", id="braces-in-a-query"),
        pytest.param({"target": "/100%25"}, GateCause.PATH, "no encoded / \\ %", id="percent"),
        pytest.param({"target": "/cafe%CC%81"}, GateCause.PATH, "not NFD", id="nfd"),
        pytest.param({"target": "/a."}, GateCause.PATH, "ends in a dot", id="trailing-dot"),
        pytest.param({"target": "/a%2Fb"}, GateCause.PATH, "http.encoded_slash", id="slash"),
        pytest.param({"target": "/a;b"}, GateCause.PATH, "http.semicolon", id="semicolon"),
    ],
)
def test_a_refused_target_names_what_is_accepted(changes, cause, accepted):
    error = refusal(**changes)
    assert error.cause is cause
    assert accepted in error.detail


def test_a_refused_host_or_body_names_what_is_accepted():
    assert "trailing dot" in refusal((b"Host", b"api.local.")).detail
    body = refusal((b"Content-Length", b"2"), method="DELETE")
    assert "http.body_methods" in body.detail
    coding = refusal((b"Content-Length", b"2"), (b"Content-Encoding", b"br"), method="POST")
    assert "one gzip" in coding.detail


def test_a_refusal_says_what_was_read_before_it_and_no_more():
    error = refusal((b"Expect", b"1"), method="POST", target="/%61?q=1")
    assert (error.method, error.path) == ("POST", "/a")
    assert refusal(target="/a/../b").path in (None, "/a/../b")
    assert refusal(method="TRACE").method is None
