"""A tree is kept whole, once, and never without bound."""

from dataclasses import dataclass, field

from outrider.core.spans import SPANS, RemoteSpan, SpanKind, Spans

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@dataclass(slots=True)
class Kept:
    trees: list[Spans] = field(default_factory=list)
    focus: list[str | None] = field(default_factory=list)
    now: float = 10.0

    def begun(self, parent_id: str | None = None) -> Spans:
        return Spans.begun(
            trace_id=TRACE,
            span_id="a" * 16,
            parent_id=parent_id,
            began_s=9.0,
            now_s=lambda: self.now,
            keep=self.trees.append,
            focus=self.focus.append,
        )


def test_steps_stand_under_the_exchange() -> None:
    kept = Kept()
    spans = kept.begun()
    step = spans.begin("outrider.decide")
    kept.now = 12.0
    step.end("policy_timeout", {"outrider.decision.effect": "deny"})
    spans.close()
    assert (step.kind, step.parent_id) == (SpanKind.INTERNAL, "a" * 16)
    assert (step.began_s, step.ended_s, step.fault) == (10.0, 12.0, "policy_timeout")
    assert step.attributes == {"outrider.decision.effect": "deny"}
    assert step.traceparent == f"00-{TRACE}-{step.span_id}-01"
    assert kept.trees == [spans]


def test_what_was_said_first_of_a_step_stands() -> None:
    step = Kept().begun().begin("x")
    step.end("cancelled")
    step.end(None, {"a": 1})
    assert (step.fault, step.attributes) == ("cancelled", {})


def test_closing_ends_what_has_not_ended_and_keeps_once() -> None:
    kept = Kept()
    spans = kept.begun()
    step = spans.begin("x")
    kept.now = 11.0
    spans.close()
    spans.close()
    assert (spans.root.ended_s, step.ended_s) == (11.0, 11.0)
    assert len(kept.trees) == 1


def test_the_request_that_carried_the_context_is_the_span_of_that_id() -> None:
    spans = Kept().begun()
    first = spans.onward
    assert spans.onward == first, "header and message carry the same"
    assert spans.begin_client("x").traceparent == first
    assert spans.onward != first, "the next request has a span of its own"


def test_another_parent_leaves_the_first_as_a_link() -> None:
    spans = Kept().begun(parent_id="b" * 16)
    spans.rejoin("c" * 32, "d" * 16)
    assert (spans.trace_id, spans.root.parent_id) == ("c" * 32, "d" * 16)
    assert spans.links == [RemoteSpan(trace_id=TRACE, span_id="b" * 16)]
    assert spans.onward.startswith(f"00-{'c' * 32}-")


def test_a_tree_without_a_parent_has_nothing_to_link() -> None:
    spans = Kept().begun()
    spans.rejoin("c" * 32, "d" * 16)
    assert spans.links == []


def test_steps_past_the_bound_are_counted_and_not_kept() -> None:
    spans = Kept().begun()
    for _ in range(SPANS + 5):
        spans.begin("x").end()
    assert (len(spans.children), spans.lost) == (SPANS, 5)
