"""Who is sampled, under whom: by our own word, and never more than the bound."""

import sys
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError
from outrider.core.exchange import Exchange, TlsPeer
from outrider.core.spans import RemoteSpan, Spans
from outrider.core.trace_context import trace_of
from outrider.telemetry.tracing import Facts, Terms, Tracing, exporter_of
from tests.support.builders import an_exchange
from tests.support.injector import HandClock

TRACE, PARENT = "a" * 32, "b" * 16
DOMAIN = "acme.test"


@dataclass(slots=True)
class RecordingExport:
    trees: list[Spans] = field(default_factory=list)

    def keep(self, tree: Spans) -> None:
        self.trees.append(tree)

    def start(self) -> None:
        """Nothing runs here."""

    def stop(self) -> None:
        """Nothing is queued here."""


def a_tracer(clock: HandClock | None = None, **terms: Any) -> Tracing:
    return Tracing(
        terms=Terms(**{"endpoint": "http://127.0.0.1:4317", "callers_per_s": 5} | terms),
        export=RecordingExport(),
        clock=clock or HandClock(),
        own_domain=lambda: DOMAIN,
    )


def an_asked(parent: str | None, *, domain: str | None = None) -> Exchange:
    exchange = replace(an_exchange(), trace=trace_of(parent, None))
    if domain is None:
        return exchange
    tls = TlsPeer(
        spiffe_id=f"spiffe://{domain}/x",
        trust_domain=domain,
        expires_unix_s=2e9,
        leaf_sha256="c" * 64,
        anchor_sha256="d" * 64,
    )
    return replace(exchange, peer=replace(exchange.peer, tls=tls))


def context(flags: str = "01", trace: str = TRACE, parent: str = PARENT) -> str:
    return f"00-{trace}-{parent}-{flags}"


def test_a_caller_of_our_domain_is_gone_on_with() -> None:
    trace = a_tracer().begin(an_asked(context(), domain=DOMAIN)).trace
    assert (trace.trace_id, trace.sampled) == (TRACE, True)
    assert trace.spans is not None
    assert (trace.spans.trace_id, trace.spans.root.parent_id) == (TRACE, PARENT)
    assert trace.spans.root.span_id == trace.span_id


def test_a_caller_of_another_domain_is_a_link_and_no_parent() -> None:
    trace = a_tracer(ratio=1.0).begin(an_asked(context(), domain="evil.test")).trace
    assert trace.trace_id != TRACE
    assert trace.spans is not None
    assert trace.spans.root.parent_id is None
    assert trace.spans.links == [RemoteSpan(trace_id=TRACE, span_id=PARENT)]


def test_a_caller_of_another_domain_cannot_have_itself_sampled() -> None:
    trace = a_tracer(ratio=0.0).begin(an_asked(context(), domain="evil.test")).trace
    assert trace.spans is None
    assert trace.trace_id != TRACE


def test_a_message_of_another_domain_is_a_link_too() -> None:
    tracer = a_tracer(ratio=1.0)
    exchange = tracer.begin(an_asked(None, domain="evil.test"))
    again = tracer.rejoin(exchange, context(), None)
    assert again is exchange
    assert exchange.trace.spans is not None
    assert exchange.trace.spans.links == [RemoteSpan(trace_id=TRACE, span_id=PARENT)]


@pytest.mark.parametrize(("ratio", "kept"), [(0.0, 0), (1.0, 200)])
def test_what_begins_here_is_drawn(ratio: float, kept: int) -> None:
    tracer = a_tracer(ratio=ratio)
    drawn = [tracer.begin(an_asked(None)).trace for _ in range(200)]
    assert sum(trace.spans is not None for trace in drawn) == kept
    assert all(trace.sampled is (trace.spans is not None) for trace in drawn)


def test_a_share_is_about_that_share() -> None:
    tracer = a_tracer(ratio=0.5)
    kept = sum(tracer.begin(an_asked(None)).trace.spans is not None for _ in range(2000))
    assert 850 < kept < 1150


def test_callers_wishes_are_granted_so_many_times_a_second() -> None:
    clock = HandClock()
    tracer = a_tracer(clock, callers_per_s=3)
    granted = [tracer.begin(an_asked(context())).trace.sampled for _ in range(10)]
    assert granted == [True] * 3 + [False] * 7
    clock.now_s += 1.0
    assert tracer.begin(an_asked(context())).trace.sampled


def test_a_caller_that_does_not_ask_is_not_sampled_by_chance() -> None:
    assert a_tracer(ratio=1.0).begin(an_asked(context("00"))).trace.spans is None


def test_a_message_that_asks_is_sampled_where_its_header_was_not() -> None:
    tracer = a_tracer()
    exchange = tracer.begin(an_asked(None))
    assert exchange.trace.spans is None
    joined = tracer.rejoin(exchange, context(), None).trace
    assert joined.spans is not None
    assert (joined.trace_id, joined.span_id) == (TRACE, exchange.trace.span_id)


def test_a_message_that_does_not_ask_leaves_a_tree_that_is_kept_kept() -> None:
    tracer = a_tracer()
    exchange = tracer.begin(an_asked(context(trace="c" * 32)))
    joined = tracer.rejoin(exchange, context("00"), None).trace
    assert joined.sampled
    assert joined.spans is exchange.trace.spans
    assert joined.onward.startswith(f"00-{TRACE}-")


def test_the_current_trace_is_that_in_focus() -> None:
    tracer = a_tracer()
    spans = tracer.begin(an_asked(context())).trace.spans
    assert spans is not None
    assert tracer.traced() is None
    spans.focus(spans.trace_id)
    assert tracer.traced() == TRACE
    spans.focus(None)
    assert tracer.traced() is None


def test_without_opentelemetry_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "outrider.telemetry.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    facts = Facts(service="outrider", version="1", instance="i", environment="dev")

    class NoEvents:
        def spans(self, result: str, count: int) -> None:
            raise AssertionError("nothing was sent")

    with pytest.raises(ConfigError, match=r"install outrider\[otel\]"):
        exporter_of(Terms(endpoint="http://127.0.0.1:1"), facts, SystemClock(), NoEvents())
