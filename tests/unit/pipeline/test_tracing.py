"""An exchange's tree says what was done in our own words, however it ended."""

import pytest

from outrider.core.errors import UpstreamUnavailableError
from outrider.core.exchange import Ending
from outrider.core.spans import Rpc, Span, SpanKind, Spans
from outrider.core.vocabulary import Effect, Reason, ResourceType
from outrider.pipeline.tracing import ended_client, origin_told, stepped
from tests.support.builders import a_decision, a_head, a_peer, an_ask, an_exchange
from tests.support.pipeline import FixedConversation, FixedDecider, Rig
from tests.support.spans import RecordingTracer

CRM = "/mcp/crm"


async def traced(rig: Rig, ending: Ending = Ending.SENT, path: str = CRM) -> Spans:
    """The tree of one exchange that was answered and settled."""
    tracer = rig.tracer = RecordingTracer()
    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange(head=a_head(path=path)))
        reply.settle(ending, 0)
        reply.settle(ending, 0)
    (tree,) = tracer.trees
    assert tracer.focused == [tree.trace_id, None]
    return tree


def clients(tree: Spans) -> list[Span]:
    return [one for one in tree.children if one.kind is SpanKind.CLIENT]


async def test_an_allowed_call_has_its_upstreams_request_below_it() -> None:
    rig = Rig()
    rig.adapter.conversation = FixedConversation(asks=(an_ask(name="tools/call"),))
    tree = await traced(rig)
    (client,) = clients(tree)
    assert client.parent_id == tree.root.span_id
    assert (client.fault, tree.root.fault) == (None, None)
    assert client.attributes["outrider.upstream"] == "crm"
    assert client.attributes["http.response.status_code"] == 200
    assert tree.root.name.startswith("tools/call ")
    assert tree.root.attributes["outrider.outcome"] == "allowed"
    assert tree.root.attributes["outrider.exchange.id"] == an_exchange().id


async def test_a_denied_call_has_none_and_says_why() -> None:
    denied = a_decision(Effect.DENY, reason=Reason.POLICY)
    tree = await traced(Rig(decider=FixedDecider(denied)))
    assert clients(tree) == []
    assert (tree.root.fault, tree.root.attributes["outrider.outcome"]) == ("policy", "denied")


async def test_what_leads_nowhere_is_told_without_its_path() -> None:
    tree = await traced(Rig(), path="/secret-canary")
    assert tree.root.fault == "unrecognised"
    assert "canary" not in repr((tree.root.name, tree.root.attributes))


async def test_an_upstream_that_is_away_is_the_fault_of_its_request() -> None:
    rig = Rig()
    rig.upstream.answers.append(UpstreamUnavailableError("away"))
    tree = await traced(rig)
    (client,) = clients(tree)
    assert client.fault == "upstream_unavailable"
    assert tree.root.fault == "upstream_unavailable"


async def test_a_lease_is_a_step_of_its_own() -> None:
    tree = await traced(Rig(configured_credential=True))
    assert [one.name for one in tree.children if one.kind is SpanKind.INTERNAL] == [
        "outrider.lease"
    ]


async def test_a_caller_that_leaves_is_said() -> None:
    tree = await traced(Rig(), Ending.CLIENT_LEFT)
    assert (tree.root.fault, tree.root.attributes["outrider.outcome"]) == ("cancelled", "aborted")


async def test_a_unix_socket_is_a_pipe() -> None:
    rig = Rig()
    tracer = rig.tracer = RecordingTracer()
    async with rig.jobs:
        exchange = an_exchange(head=a_head(path=CRM), peer=a_peer(transport="unix"))
        (await rig.enforcer().handle(exchange)).settle(Ending.SENT, 0)
    assert tracer.trees[0].root.attributes["network.transport"] == "pipe"


async def test_a_tool_that_the_manifest_does_not_have_is_other() -> None:
    rig = Rig()
    ask = an_ask(name="tools/call", resource="a-name-of-the-callers-choice")
    rig.adapter.conversation = FixedConversation(asks=(ask,))
    tree = await traced(rig)
    assert tree.root.name in {"tools/call other", "other"}
    assert "choice" not in repr([(one.name, one.attributes) for one in (tree.root, *tree.children)])


def a_tree() -> Spans:
    tracer = RecordingTracer()
    spans = tracer.begin(an_exchange()).trace.spans
    assert spans is not None
    return spans


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        pytest.param(None, None, id="well"),
        pytest.param(ValueError("a secret"), "ValueError", id="a-fault"),
        pytest.param(KeyboardInterrupt(), "cancelled", id="cut-off"),
    ],
)
def test_a_step_says_the_class_of_what_went_wrong_and_no_text(
    fault: BaseException | None, word: str | None
) -> None:
    spans = a_tree()
    if fault is None:
        with stepped(spans, "outrider.lease") as span:
            pass
    else:
        with pytest.raises(type(fault)), stepped(spans, "outrider.lease") as span:
            raise fault
    assert span.fault == word
    assert span.ended_s is not None


@pytest.mark.parametrize(
    ("rpc", "reason", "fault"),
    [
        pytest.param(Rpc(id=1, version="other"), None, None, id="well"),
        pytest.param(Rpc(id=1, version="other", tool_failed=True), None, "tool_error", id="tool"),
        pytest.param(Rpc(id=1, version="other", code=-32602), None, "rpc_error", id="error"),
        pytest.param(
            Rpc(id=1, version="other", tool_failed=True),
            Reason.UPSTREAM_UNAVAILABLE,
            "upstream_unavailable",
            id="our-reason-first",
        ),
    ],
)
def test_our_reason_comes_before_what_the_upstream_calls_a_failure(
    rpc: Rpc, reason: Reason | None, fault: str | None
) -> None:
    span = a_tree().begin_client("x")
    ended_client(span, 200, reason, rpc)
    assert span.fault == fault
    code = None if rpc.code is None else str(rpc.code)
    assert span.attributes.get("rpc.response.status_code") == code


@pytest.mark.parametrize(
    ("id_", "told"),
    [
        pytest.param(None, None, id="none"),
        pytest.param(7, "7", id="number"),
        pytest.param("x" * 64, "x" * 64, id="just-fits"),
        pytest.param("x" * 65, "x" * 64, id="one-more"),
        pytest.param("a\x00b\u202ec\ud800", "a?b?c?", id="hostile"),
    ],
)
def test_an_id_is_told_short_and_printable(id_: str | int | None, told: str | None) -> None:
    span = a_tree().begin_client("x")
    ended_client(span, 200, None, Rpc(id=id_, version="2025-11-25"))
    assert span.attributes.get("jsonrpc.request.id") == told
    assert span.attributes["mcp.protocol.version"] == "2025-11-25"


async def test_an_undeclared_resource_is_other() -> None:
    rig = Rig()
    uri = "https://of-the-callers-choice.test/x"
    ask = an_ask(
        name="resources/read",
        resource_type=ResourceType.RESOURCE,
        resource=uri,
        hosts=("of-the-callers-choice.test",),
    )
    rig.adapter.conversation = FixedConversation(asks=(ask,))
    tree = await traced(rig)
    assert tree.root.attributes.get("mcp.resource.uri", "other") == "other"
    assert "choice" not in repr([(one.name, one.attributes) for one in (tree.root, *tree.children)])


def test_a_declared_resource_is_told_by_its_origin_alone() -> None:
    ask = an_ask(
        name="resources/read",
        resource_type=ResourceType.RESOURCE,
        resource="https://docs.test/private/page?key=1#part",
        hosts=("docs.test",),
    )
    assert origin_told(ask) == "https://docs.test"


@pytest.mark.parametrize(
    ("status", "reason", "fault"),
    [
        pytest.param(200, None, None, id="well"),
        pytest.param(500, None, "500", id="failed"),
        pytest.param(None, Reason.UPSTREAM_UNAVAILABLE, "upstream_unavailable", id="away"),
        pytest.param(None, None, None, id="not-seen"),
    ],
)
def test_a_request_to_the_upstream_says_how_it_ended(
    status: int | None, reason: Reason | None, fault: str | None
) -> None:
    span = a_tree().begin_client("x")
    ended_client(span, status, reason)
    assert span.fault == fault
    assert span.attributes.get("http.response.status_code") == status
