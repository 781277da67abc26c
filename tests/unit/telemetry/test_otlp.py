"""Trees reach the collector as they were, or are counted; nobody waits."""

import threading
from dataclasses import dataclass, field

from outrider.core.clock import SystemClock
from outrider.core.spans import RemoteSpan, Spans
from outrider.telemetry.otlp import OtlpExport
from outrider.telemetry.tracing import Facts, Terms
from tests.support.collector import Collector, a_collector

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
FACTS = Facts(service="outrider", version="1.2.3", instance="pod-1", environment="prod")


@dataclass(slots=True)
class Counting:
    counts: dict[str, int] = field(default_factory=dict)
    told: threading.Event = field(default_factory=threading.Event)

    def spans(self, result: str, count: int) -> None:
        self.counts[result] = self.counts.get(result, 0) + count
        self.told.set()


def an_export(collector: Collector, events: Counting, **terms: int) -> OtlpExport:
    return OtlpExport(
        terms=Terms(endpoint=collector.endpoint, **{"timeout_s": 1, **terms}),
        facts=FACTS,
        clock=SystemClock(),
        events=events,
    )


def a_tree(parent_id: str | None = "b" * 16) -> Spans:
    clock = SystemClock()
    spans = Spans.begun(
        trace_id=TRACE,
        span_id="a" * 16,
        parent_id=parent_id,
        began_s=clock.monotonic_s(),
        now_s=clock.monotonic_s,
        keep=lambda _: None,
        focus=lambda _: None,
    )
    spans.links.append(RemoteSpan(trace_id="c" * 32, span_id="d" * 16))
    spans.state = "vendor=1"
    step = spans.begin("outrider.decide")
    step.end("policy_timeout", {"outrider.decision.effect": "deny"})
    spans.close()
    return spans


def test_a_tree_arrives_whole() -> None:
    events = Counting()
    with a_collector() as collector:
        export = an_export(collector, events)
        export.start()
        export.keep(a_tree())
        export.stop()
        root, step = collector.spans
    assert events.counts == {"exported": 2}
    assert (root.trace_id, root.span_id, root.parent_id) == (TRACE, "a" * 16, "b" * 16)
    assert root.links == (("c" * 32, "d" * 16),)
    assert (step.trace_id, step.parent_id, step.links) == (TRACE, "a" * 16, ())
    assert (step.is_error, root.is_error) == (True, False)
    assert step.attributes == {
        "outrider.decision.effect": "deny",
        "error.type": "policy_timeout",
    }
    assert collector.resources[0] == {
        "service.name": "outrider",
        "service.version": "1.2.3",
        "service.instance.id": "pod-1",
        "deployment.environment.name": "prod",
    }


def test_a_tree_that_begins_here_has_no_parent() -> None:
    with a_collector() as collector:
        export = an_export(collector, Counting())
        export.start()
        export.keep(a_tree(None))
        export.stop()
        assert collector.spans[0].parent_id == ""


def test_what_has_no_room_is_counted_at_once() -> None:
    events = Counting()
    with a_collector(held=True) as collector:
        export = an_export(collector, events, queue=2)
        for _ in range(5):
            export.keep(a_tree())
        assert events.counts == {"dropped": 6}
        collector.held.set()
        export.start()
        export.stop()
    assert events.counts == {"dropped": 6, "exported": 4}


def test_what_a_tree_had_no_room_for_is_counted() -> None:
    events = Counting()
    with a_collector() as collector:
        export = an_export(collector, events)
        tree = a_tree()
        tree.lost = 7
        export.keep(tree)
        assert events.counts == {"dropped": 7}


def test_a_collector_that_is_gone_loses_spans_and_nothing_else() -> None:
    events = Counting()
    with a_collector() as collector:
        pass
    export = an_export(collector, events)
    export.start()
    export.keep(a_tree())
    assert events.told.wait(10)
    export.stop()
    assert events.counts == {"failed": 2}


def test_the_end_does_not_wait_for_a_collector_that_hangs() -> None:
    with a_collector(held=True) as collector:
        export = an_export(collector, Counting(), queue=1)
        export.start()
        for _ in range(5):
            export.keep(a_tree())
        clock = SystemClock()
        began_s = clock.monotonic_s()
        export.stop()
        assert clock.monotonic_s() - began_s < 8


def test_a_tree_that_cannot_be_said_is_counted_and_the_next_arrives() -> None:
    events = Counting()
    with a_collector() as collector:
        export = an_export(collector, events)
        spoilt = a_tree()
        spoilt.trace_id = "no trace"
        export.keep(spoilt)
        export.keep(a_tree())
        export.start()
        export.stop()
    assert events.counts == {"failed": 2, "exported": 2}
