from dataclasses import replace
from typing import Any

import orjson
import pytest

from outrider.config.upstream_settings import HttpOptions
from outrider.core.errors import (
    EnforcementError,
    MalformedError,
    ObligationError,
    TooLargeError,
    UnrecognisedError,
)
from outrider.core.exchange import Headers, Outgoing, RequestHead
from outrider.core.manifest import Manifest
from outrider.core.obligation import RedactObligation
from outrider.core.ports import Adapter, Conversation, Edits, Emit, Learn, opening_of
from outrider.core.vocabulary import BodyKind, ProtocolName, Reason, ResourceType
from outrider.protocols.adapters.http import HttpAdapter, HttpLimits
from tests.support.builders import (
    FixedBody,
    a_get,
    a_head,
    a_manifest,
    a_refusal,
    a_response_head,
    a_route,
    a_trace,
    an_inbound,
)

ADAPTER: Adapter = HttpAdapter(limits=HttpLimits())
FORM = "application/x-www-form-urlencoded"
MANIFEST = a_manifest(
    people={
        "destination": {"zone": "internal"},
        "operations": {
            "GET /people": {"effect": "read"},
            "GET /people/{id}": {"effect": "read", "operation_id": "getPerson"},
            "POST /people": {"effect": "write", "array_fields": ["tags"]},
            "PUT /people/{id}": {"effect": "write"},
            "POST /people/{id}/photo": {"effect": "write", "opaque": True},
        },
    }
)


def post(
    path: str = "/api/people",
    kind: str | None = "application/json",
    query: str = "",
    method: str = "POST",
) -> RequestHead:
    headers = () if kind is None else (("content-type", kind),)
    return a_head(method=method, path=path, query=query, headers=headers)


def parse(
    head: RequestHead, body: bytes | None = None, manifest: Manifest = MANIFEST, **changes: Any
) -> Conversation:
    return ADAPTER.parse(an_inbound(head, body, manifest=manifest, **changes))


def sent(head: RequestHead, body: bytes | None = None, **changes: Any) -> Outgoing:
    return parse(head, body, **changes).outgoing(Edits())


# --- reading ---------------------------------------------------------------------------------


def test_a_declared_operation_is_asked_by_its_id() -> None:
    conversation = parse(a_get("/api/people/42", "verbose=1"))
    (ask,) = conversation.asks
    assert (ask.protocol, ask.resource_type) == (ProtocolName.HTTP, ResourceType.API)
    assert (ask.name, ask.resource, ask.operation) == (
        "getPerson",
        "getPerson",
        "GET /people/{id}",
    )
    assert ask.resource_id == "people/getPerson"
    assert ask.arguments == {"id": "42", "verbose": "1"}
    assert (ask.body, ask.plumbing, ask.effect) == (BodyKind.NONE, False, None)
    assert (conversation.task_name, conversation.runs_on) == (None, False)


def test_an_operation_without_id_is_named_by_method_and_template() -> None:
    assert parse(a_get("/api/people")).asks[0].name == "GET /people"


@pytest.mark.parametrize(
    ("head", "body", "arguments"),
    [
        pytest.param(
            post(), b'{"name":"A","tags":["x"]}', {"name": "A", "tags": ["x"]}, id="object"
        ),
        pytest.param(post(), b"[1,2]", {"body": [1, 2]}, id="list"),
        pytest.param(post(), b'"text"', {"body": "text"}, id="text"),
        pytest.param(post(), b"null", {"body": None}, id="null"),
        pytest.param(post(), b"{}", {}, id="empty-object"),
        pytest.param(
            post(query="dry=1&dry=2"), b'{"a":1}', {"dry": ["1", "2"], "a": 1}, id="query"
        ),
        pytest.param(post(kind=FORM), b"name=A+B&x=", {"name": "A B", "x": ""}, id="form"),
        pytest.param(post(kind=FORM), b"tags=a&tags=b", {"tags": ["a", "b"]}, id="declared-array"),
        pytest.param(post(kind=FORM), b"tags=a", {"tags": ["a"]}, id="array-of-one"),
        pytest.param(post(kind=FORM), b"", {}, id="empty-form"),
        pytest.param(post(kind="application/json; charset=utf-8"), b"{}", {}, id="charset"),
    ],
)
def test_what_changes_the_call_stands_in_its_arguments(
    head: RequestHead, body: bytes, arguments: Any
) -> None:
    (ask,) = parse(head, body).asks
    assert (ask.arguments, ask.body) == (arguments, BodyKind.JUDGED)


@pytest.mark.parametrize(
    ("head", "body", "cause"),
    [
        pytest.param(post(), b'{"a":1,"a":2}', "duplicate_key", id="1-duplicate-key"),
        pytest.param(post(), b"{", "syntax", id="no-json"),
        pytest.param(post(), b'{"a":NaN}', "syntax", id="13-nan"),
        pytest.param(post(), b"\xef\xbb\xbf{}", "bom", id="12-bom"),
        pytest.param(post(query="a=1"), b'{"a":2}', "argument_clash", id="query-and-body"),
        pytest.param(
            post("/api/people/7", query="id=8", method="PUT"),
            b"{}",
            "argument_clash",
            id="path-query",
        ),
        pytest.param(
            post("/api/people/7", method="PUT"), b'{"id":8}', "argument_clash", id="path-and-body"
        ),
        pytest.param(post(query="_method=DELETE"), b"{}", "override", id="override-in-query"),
        pytest.param(post(kind=FORM), b"_METHOD=DELETE", "override", id="override-in-form"),
        pytest.param(post(), b'{"_method":"DELETE"}', "override", id="override-in-json"),
        pytest.param(post(kind=FORM), b"a=1&a=2", "repeated_parameter", id="repeated-in-form"),
        pytest.param(post(kind=FORM), b"a=%zz", "form", id="stray-percent"),
        pytest.param(post(query="&"), b"{}", "form", id="empty-parameter"),
        pytest.param(a_get("/api/people/..%2Fadmin"), None, "path", id="path-in-a-value"),
    ],
)
def test_what_has_two_readings_is_refused(
    head: RequestHead, body: bytes | None, cause: str
) -> None:
    with pytest.raises(MalformedError) as refused:
        parse(head, body)
    assert refused.value.cause == cause


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/merge-patch+json",
        "application/xml",
    ],
)
def test_a_body_of_another_type_passes_only_where_it_is_declared_opaque(kind: str | None) -> None:
    head = post(kind=kind)
    assert not ADAPTER.need(head, a_route()).judged
    with pytest.raises(MalformedError) as refused:
        parse(head)
    assert (refused.value.cause, refused.value.status) == ("media_type", 415)
    named = ("application/json", "application/x-www-form-urlencoded", "opaque: true")
    assert all(word in refused.value.detail for word in named)
    (ask,) = parse(post("/api/people/7/photo", kind=kind)).asks
    assert (ask.body, ask.arguments) == (BodyKind.OPAQUE, {"id": "7"})


@pytest.mark.parametrize(
    ("head", "cause", "status"),
    [
        pytest.param(a_get("/api/persons"), "operation", None, id="path"),
        pytest.param(a_get("/api/People"), "operation", None, id="17-lookalike"),
        pytest.param(a_get("/api/people/"), "operation", None, id="trailing-slash"),
        pytest.param(post(method="PUT"), "method", 405, id="method"),
    ],
)
def test_what_is_not_declared_is_unrecognised(
    head: RequestHead, cause: str, status: int | None
) -> None:
    with pytest.raises(UnrecognisedError) as refused:
        parse(head, b"{}")
    assert (refused.value.cause, refused.value.status) == (cause, status)


def test_an_upstream_without_manifest_knows_no_operation() -> None:
    with pytest.raises(UnrecognisedError):
        parse(a_get("/api/people"), route=a_route(upstream="nobody"))


def test_a_new_manifest_is_read_anew() -> None:
    other = a_manifest(people={"operations": {"GET /other": {}}})
    assert parse(a_get("/api/people")).asks[0].name == "GET /people"
    with pytest.raises(UnrecognisedError):
        parse(a_get("/api/people"), manifest=other)
    assert parse(a_get("/api/other"), manifest=other).asks[0].name == "GET /other"


@pytest.mark.parametrize(
    ("head", "options", "judged"),
    [
        pytest.param(post(), HttpOptions(), True, id="json"),
        pytest.param(post(kind=FORM), HttpOptions(), True, id="form"),
        pytest.param(post(), HttpOptions(body="opaque"), False, id="opaque-route"),
        pytest.param(a_get("/api/people"), HttpOptions(), False, id="no-body"),
    ],
)
def test_only_what_is_judged_is_read(head: RequestHead, options: HttpOptions, judged: bool) -> None:
    need = ADAPTER.need(head, a_route(options=options))
    assert (need.judged, need.limit_bytes) == (judged, 1 << 20)


def test_a_route_of_another_kind_is_a_fault_of_ours() -> None:
    with pytest.raises(TypeError, match="HttpOptions"):
        ADAPTER.need(post(), a_route(options=None))


# --- what leaves -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "body", "target", "data"),
    [
        pytest.param(
            post(),
            b' {"b": 1.0, "a": "\\u00e9"} ',
            "/people",
            '{"b":1.0,"a":"é"}'.encode(),
            id="json-written-again",
        ),
        pytest.param(post(kind=FORM), b"a=x+y&b", "/people", b"a=x%20y&b", id="form-again"),
        pytest.param(
            a_get("/api/people", "q=a+b&flag&x=%3B"),
            None,
            "/people?q=a%20b&flag&x=%3B",
            b"",
            id="query",
        ),
        pytest.param(a_get("/api/people/a%20b"), None, "/people/a%20b", b"", id="path"),
    ],
)
def test_what_leaves_is_our_own_writing_of_what_was_judged(
    head: RequestHead, body: bytes | None, target: str, data: bytes
) -> None:
    outgoing = sent(head, body)
    assert (outgoing.method, outgoing.target, outgoing.body) == (head.method, target, data)


@pytest.mark.parametrize(
    ("route", "path", "target"),
    [
        (a_route(prefix="", base_path=""), "/people", "/people"),
        (a_route(prefix="/api", base_path="/v2"), "/api/people", "/v2/people"),
        (a_route(prefix="/api", base_path="/v2/"), "/api/people", "/v2/people"),
    ],
)
def test_the_prefix_goes_and_the_base_comes(route: Any, path: str, target: str) -> None:
    assert sent(a_get(path), route=route).target == target


def test_the_prefix_alone_is_the_root() -> None:
    manifest = a_manifest(people={"operations": {"GET /": {}}})
    assert sent(a_get("/api"), manifest=manifest).target == "/"


def test_a_head_request_is_judged_as_get_and_stays_head() -> None:
    head = a_head(method="HEAD", path="/api/people/7", headers=(), has_body=False)
    assert parse(head).asks[0].name == "getPerson"
    assert sent(head).method == "HEAD"


def test_fields_leave_without_credentials_and_with_ours() -> None:
    head = a_head(
        path="/api/people",
        headers=(
            ("content-type", "application/json; charset=utf-8"),
            ("content-encoding", "gzip"),
            ("content-length", "99"),
            ("authorization", "Bearer stolen"),
            ("x-amz-date", "x"),
            ("x-tenant", "other"),
            ("accept", "application/json"),
            ("range", "bytes=0-1"),
            ("user-agent", "hunter2"),
        ),
    )
    conversation = parse(head, b"{}", trace=a_trace(state="a=1"))
    redaction = RedactObligation(pointer="/x")
    edits = Edits(headers=(("x-tenant", "acme"),), redactions=(redaction,))
    assert conversation.outgoing(edits).headers == (
        ("accept", "application/json"),
        ("content-type", "application/json"),
        ("x-tenant", "acme"),
        ("user-agent", "outrider"),
        ("accept-encoding", "identity"),
        ("traceparent", a_trace().traceparent),
        ("tracestate", "a=1"),
    )
    plain = dict(conversation.outgoing(Edits()).headers)
    assert (plain["user-agent"], plain["x-tenant"]) == ("outrider", "other")
    assert "range" not in plain


def test_an_empty_body_leaves_without_a_type() -> None:
    outgoing = sent(post(), b"")
    assert outgoing.body == b""
    assert "content-type" not in dict(outgoing.headers)
    assert parse(post(), b"").asks[0].body is BodyKind.NONE


async def test_an_opaque_body_is_streamed_as_it_came() -> None:
    kind = ("content-type", "multipart/form-data; boundary=x")
    head = a_head(path="/api/people/7/photo", headers=(kind, ("content-length", "4")))
    source = FixedBody(b"data")
    outgoing = sent(head, None, source=source)
    assert not isinstance(outgoing.body, bytes)
    assert [piece async for piece in outgoing.body] == [b"data"]
    assert source.reads == [64 << 20]
    assert outgoing.headers[:2] == (kind, ("content-length", "4"))
    chunked = sent(a_head(path="/api/people/7/photo", headers=(kind,)), None, source=FixedBody())
    assert "content-length" not in dict(chunked.headers)


def test_an_opaque_route_reads_no_body_of_any_type() -> None:
    route = a_route(options=HttpOptions(body="opaque"))
    (ask,) = parse(post(), None, route=route).asks
    assert (ask.body, ask.arguments) == (BodyKind.OPAQUE, {})


def test_an_encoded_slash_is_taken_only_where_the_route_says_so() -> None:
    route = a_route(options=HttpOptions(encoded_slash=True))
    conversation = parse(a_get("/api/people/a%2Fb"), route=route)
    assert conversation.asks[0].arguments == {"id": "a%2Fb"}
    assert conversation.outgoing(Edits()).target == "/people/a%2Fb"
    with pytest.raises(MalformedError):
        parse(a_get("/api/people/a%2Fb"))


@pytest.mark.parametrize("redactions", [(), (RedactObligation(pointer="/ssn"),)])
def test_a_bound_on_records_is_kept(redactions: tuple[RedactObligation, ...]) -> None:
    for items, kept in ((b"[1,2]", True), (b"[1,2,3]", False)):
        watcher = parse(a_get("/api/people")).watch(
            a_response_head(), Edits(records=2, redactions=redactions)
        )
        watcher.feed(b'{"rows":' + items + b"}")
        if kept:
            assert isinstance(watcher.end()[-1], Emit)
        else:
            with pytest.raises(ObligationError):
                watcher.end()


def test_records_that_nobody_can_count_are_refused() -> None:
    page = a_response_head(headers=(("content-type", "text/html"),))
    with pytest.raises(ObligationError):
        parse(a_get("/api/people")).watch(page, Edits(records=5))


# --- the answer ------------------------------------------------------------------------------

REDACT = Edits(redactions=(RedactObligation(pointer="/ssn"),))


def test_an_answer_is_learnt_and_leaves_as_it_came() -> None:
    watcher = parse(a_get("/api/people")).watch(a_response_head(), Edits())
    assert watcher.streaming
    assert watcher.feed(b'{"ssn": ') == []
    assert watcher.feed(b"1}") == []
    assert watcher.end() == [Learn(value={"ssn": 1}), Emit(data=b'{"ssn": 1}')]


def test_a_redaction_is_made_in_the_whole_answer() -> None:
    watcher = parse(a_get("/api/people")).watch(a_response_head(), REDACT)
    assert not watcher.streaming
    assert watcher.feed(b'{"ssn":"1"}') == []
    *_, emit = watcher.end()
    assert emit == Emit(data=b'{"ssn":"[redacted]"}')


def test_an_answer_that_cannot_be_redacted_is_refused() -> None:
    html = a_response_head(headers=(("content-type", "text/html"),))
    with pytest.raises(ObligationError):
        parse(a_get("/api/people")).watch(html, REDACT)


@pytest.mark.parametrize("status", [204, 205, 304])
def test_an_answer_without_body_needs_no_redaction(status: int) -> None:
    head = a_response_head(status, headers=())
    watcher = parse(a_get("/api/people")).watch(head, REDACT)
    assert (watcher.head(), watcher.end()) == (head, [])


def test_a_body_where_none_belongs_is_cut_when_there_is_something_to_redact() -> None:
    watcher = parse(a_get("/api/people")).watch(a_response_head(204, headers=()), REDACT)
    with pytest.raises(EnforcementError):
        watcher.feed(b'{"ssn":1}')


def test_bounds_of_obligations_hold_for_both_kinds_of_answer() -> None:
    conversation = parse(a_get("/api/people"))
    passing = conversation.watch(a_response_head(), Edits(response_bytes=3))
    with pytest.raises(TooLargeError):
        passing.feed(b"1234")
    both = Edits(response_bytes=3, redactions=REDACT.redactions)
    with pytest.raises(TooLargeError):
        conversation.watch(a_response_head(), both).feed(b"1234")
    own = HttpAdapter(limits=HttpLimits(response_bytes=3))
    wide = Edits(response_bytes=99, redactions=REDACT.redactions)
    head = a_get("/api/people")
    with pytest.raises(TooLargeError):
        own.parse(an_inbound(head)).watch(a_response_head(), wide).feed(b"1234")


def test_an_answer_does_not_lead_to_another_origin() -> None:
    conversation = parse(a_get("/api/people"))
    evil = a_response_head(302, headers=(("location", "https://evil.example/"),))
    with pytest.raises(EnforcementError) as refused:
        conversation.watch(evil, Edits())
    assert refused.value.reason is Reason.UPSTREAM_IDENTITY
    conversation.watch(a_response_head(201, headers=(("location", "/people/7"),)), Edits())
    opaque = parse(a_get("/api/people"), route=a_route(options=HttpOptions(body="opaque")))
    opaque.watch(evil, Edits())


def test_an_answer_leads_back_through_the_route_it_came_by() -> None:
    found = a_response_head(201, headers=(("location", "/v1/people/7"), ("content-length", "0")))
    route = a_route(base_path="/v1/")
    for edits in (Edits(), replace(REDACT)):
        kind = (("content-type", "application/json"),)
        answer = replace(found, headers=(*found.headers, *kind))
        watcher = parse(a_get("/api/people"), route=route).watch(answer, edits)
        assert watcher.head().header("location") == "/api/people/7"


# --- refusing --------------------------------------------------------------------------------


def test_a_refusal_is_a_problem() -> None:
    refused = ADAPTER.refuse(a_refusal(Reason.GRANT), a_head(), None, begun=False)
    assert refused.status == 403
    assert orjson.loads(refused.body)["reason"] == "grant"


def test_once_an_answer_has_begun_there_are_no_words() -> None:
    assert ADAPTER.refuse(a_refusal(), a_head(), None, begun=True).body == b""


def _got(headers: Headers) -> RequestHead:
    return a_head(method="GET", path="/api/people/7", headers=headers, has_body=False)


def test_a_field_that_could_ask_for_something_is_an_argument() -> None:
    asking = (("accept", "*/*"), ("impersonate-user", "root"), ("x-a", "1, 2"))
    ask = parse(_got(asking)).asks[0]
    assert ask.arguments == {"id": "7", "header.impersonate-user": "root", "header.x-a": "1, 2"}
    plain = parse(_got(asking[:1])).asks[0]
    assert plain.arguments == {"id": "7"}


def test_a_field_that_asks_for_something_comes_once() -> None:
    with pytest.raises(MalformedError):
        parse(_got((("impersonate-user", "root"), ("impersonate-user", "root"))))


@pytest.mark.parametrize("name", ["header.impersonate-user", "Header.X"])
@pytest.mark.parametrize("fields", [(("impersonate-user", "root"),), ()], ids=["beside", "alone"])
@pytest.mark.parametrize("place", ["query", "json", "form"])
def test_an_argument_cannot_stand_for_a_field(
    place: str, fields: tuple[tuple[str, str], ...], name: str
) -> None:
    kind = "application/x-www-form-urlencoded" if place == "form" else "application/json"
    body = {"query": b"{}", "json": b'{"%s":"me"}', "form": b"%s=me"}[place]
    head = post(query=f"{name}=me" if place == "query" else "", kind=kind)
    head = replace(head, headers=(*head.headers, *fields))
    with pytest.raises(MalformedError) as refused:
        parse(head, body.replace(b"%s", name.encode()))
    assert refused.value.cause == "argument_clash"


# --- answers that are guarded, and words in heads ---------------------------------------------

GUARDED = a_manifest(
    people={
        "destination": {"zone": "internal"},
        "operations": {
            "GET /secret": {"effect": "read", "result": [{"path": "$.v", "label": "secret"}]},
            "GET /person": {"effect": "read", "result": [{"path": "$.name", "label": "pii"}]},
            "GET /rows": {"effect": "read", "records": "$.rows"},
            "GET /plain": {"effect": "read", "result": [{"path": "$.v", "label": "platform"}]},
        },
    }
)
ASKED = (("accept", "text/csv"), ("range", "bytes=1-"), ("if-range", '"x"'))
GUARDED_PATHS = ["secret", "person", "rows"]


def guarded(name: str, options: HttpOptions | None = None) -> Conversation:
    head = a_head(method="GET", path=f"/api/{name}", headers=ASKED, has_body=False)
    given = {} if options is None else {"route": a_route(options=options)}
    return parse(head, None, GUARDED, **given)


@pytest.mark.parametrize("name", GUARDED_PATHS)
def test_how_a_guarded_answer_looks_is_not_the_agents_to_ask(name: str) -> None:
    fields = dict(guarded(name).outgoing(Edits()).headers)
    assert fields["accept"] == "application/json"
    assert not fields.keys() & {"range", "if-range"}


def test_how_another_answer_looks_is_asked_but_never_a_part_of_it() -> None:
    fields = dict(guarded("plain").outgoing(Edits()).headers)
    assert fields["accept"] == "text/csv"
    assert not fields.keys() & {"range", "if-range"}


@pytest.mark.parametrize("name", GUARDED_PATHS)
@pytest.mark.parametrize(
    ("status", "headers"),
    [
        pytest.param(200, (("content-type", "text/csv"),), id="csv"),
        pytest.param(200, (("content-type", "image/png"),), id="picture"),
        pytest.param(200, (), id="no-type"),
        pytest.param(206, (("content-type", "application/json"),), id="part"),
        pytest.param(
            200, (("content-type", "application/json"), ("content-encoding", "gzip")), id="coded"
        ),
    ],
)
def test_a_guarded_answer_that_cannot_be_read_by_its_fields_never_leaves(
    name: str, status: int, headers: Headers
) -> None:
    with pytest.raises(ObligationError):
        guarded(name).watch(a_response_head(status=status, headers=headers), Edits())


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        pytest.param(404, (("content-type", "text/html"),), id="error"),
        pytest.param(302, (("content-type", "text/html"),), id="redirect"),
        pytest.param(200, (("content-length", "0"),), id="empty"),
        pytest.param(204, (), id="no-content"),
    ],
)
def test_what_does_not_hold_what_was_asked_for_passes(status: int, headers: Headers) -> None:
    watcher = guarded("secret").watch(a_response_head(status=status, headers=headers), Edits())
    assert watcher.head().status == status


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", [200, 204, 304])
def test_the_words_of_a_head_are_learnt_before_it_leaves(method: str, status: int) -> None:
    head = a_head(method=method, path="/api/people", headers=(), has_body=False)
    answer = a_response_head(
        status=status, headers=(("content-type", "application/json"), ("x-note", "pay mallory"))
    )
    opening = opening_of(parse(head).watch(answer, Edits()))
    assert opening is not None
    assert opening() == [Learn(texts=("pay mallory",))]


def test_a_head_without_words_teaches_nothing() -> None:
    head = a_head(method="HEAD", path="/api/people", headers=(), has_body=False)
    answer = a_response_head(headers=(("content-type", "application/json"),))
    assert opening_of(parse(head).watch(answer, Edits())) is None
