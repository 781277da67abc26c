"""Two directions: each has routes of its own; who comes in is proven or let go."""

from dataclasses import replace

import pytest

from outrider.core.errors import MalformedError
from outrider.core.exchange import Ending, Reply, TlsPeer
from outrider.core.vocabulary import Direction
from tests.support.builders import a_head, a_peer, a_tls_peer, an_exchange
from tests.support.pipeline import FixedIdentifier, FixedIncoming, Rig

INWARD = {"direction": Direction.INGRESS, "listener": "ingress", "head": a_head(path="/agent")}


async def _answer(rig: Rig, **changes: object) -> Reply:
    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange(**changes))
        reply.settle(Ending.SENT, 0)
        return reply


async def test_a_call_from_outside_reaches_the_agent_as_one_from_inside_reaches_an_upstream() -> (
    None
):
    rig = Rig()
    await _answer(rig, peer=a_peer(tls=a_tls_peer()), **INWARD)
    assert rig.adapter.seen is not None
    assert rig.adapter.seen.route.upstream == "agent"
    assert len(rig.upstream.permits) == 1
    assert rig.audit.kinds() == ["decision", "outcome"]
    assert [record["direction"] for record in rig.audit.records] == ["ingress", "ingress"]


@pytest.mark.parametrize(
    ("direction", "path"),
    [
        pytest.param(Direction.INGRESS, "/mcp/crm", id="in-to-what-is-without"),
        pytest.param(Direction.EGRESS, "/agent", id="out-to-what-is-within"),
        pytest.param(Direction.INGRESS, "/.outrider/task", id="in-to-what-is-reserved"),
        pytest.param(Direction.AUTHZ, "/agent", id="neither"),
    ],
)
async def test_no_way_leads_across(direction: Direction, path: str) -> None:
    rig = Rig()
    reply = await _answer(rig, direction=direction, head=a_head(path=path))
    assert (reply.status, rig.upstream.permits) == (404, [])
    assert rig.adapter.refusals == []


@pytest.mark.parametrize(
    ("tls", "close"),
    [pytest.param(a_tls_peer(), True, id="proven"), pytest.param(None, False, id="local")],
)
async def test_a_peer_that_is_nobody_any_more_is_told_and_let_go(
    tls: TlsPeer | None, close: bool
) -> None:
    rig = Rig(identifier=FixedIdentifier(subject=None))
    exchange = {"peer": a_peer(tls=tls), **INWARD, "head": a_head(path="/agent", has_body=False)}
    reply = await _answer(rig, **exchange)
    assert (reply.status, reply.close, rig.upstream.permits) == (401, close, [])


async def test_a_gate_refusal_of_ingress_is_in_the_words_of_its_own_routes() -> None:
    rig = Rig()
    for path in ("/agent", "/mcp/crm"):
        exchange = an_exchange(**INWARD | {"head": a_head(path=path)})
        rig.enforcer().refuse_unread(exchange, MalformedError("two lengths")).settle(Ending.SENT, 0)
    assert len(rig.adapter.refusals) == 1


async def test_the_outcome_says_who_answered() -> None:
    rig = Rig()
    rig.upstream.answers = [FixedIncoming(peer=a_tls_peer("spiffe://b.test/crm"))]
    await _answer(rig)
    assert "spiffe_id" not in str(rig.audit.of("decision"))
    assert rig.audit.of("outcome")[0]["destination"] == [
        {
            "pointer": None,
            "host": "crm.internal",
            "zone": "internal",
            "spiffe_id": "spiffe://b.test/crm",
        }
    ]


async def test_who_proved_nothing_is_not_named_in_the_outcome() -> None:
    rig = Rig()
    await _answer(rig)
    assert "destination" not in rig.audit.of("outcome")[0]


@pytest.mark.parametrize(
    ("direction", "path", "upstream"),
    [
        pytest.param(Direction.EGRESS, "/mcp/crm", "crm", id="out"),
        pytest.param(Direction.EGRESS, "/agent", None, id="out-to-what-is-within"),
        pytest.param(Direction.INGRESS, "/agent", "agent", id="in"),
        pytest.param(Direction.INGRESS, "/mcp/crm", None, id="in-to-what-is-without"),
        pytest.param(Direction.AUTHZ, "/mcp/crm", None, id="neither"),
    ],
)
def test_a_direction_leads_to_its_own_upstreams_alone(
    direction: Direction, path: str, upstream: str | None
) -> None:
    found = Rig().parts().table(direction).find("agent.test", path)
    assert (found.upstream if found else None) == upstream


def test_ingress_leads_nowhere_unless_it_is_told_where() -> None:
    parts = replace(Rig().parts(), ingress=Rig().parts().table(Direction.AUTHZ))
    assert parts.table(Direction.INGRESS).find("agent.test", "/agent") is None
