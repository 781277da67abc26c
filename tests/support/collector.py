"""A collector of traces on loopback: OTLP over gRPC, as far as an exporter asks it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One span as it was sent, ids in hexadecimal."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    links: tuple[tuple[str, str], ...]
    took_ns: int
    is_error: bool


@dataclass(slots=True)
class Collector:
    """Keeps what it is sent. While `held` is clear, nobody is answered."""

    port: int = 0
    spans: list[Told] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    asked: int = 0
    """Calls that arrived, answered or not."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def named(self, name: str) -> list[Told]:
        return [span for span in self.spans if span.name == name]

    # --- the service ---

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.asked += 1
        self.held.wait(30)
        self.raw.append(request.SerializeToString())
        for resource in request.resource_spans:
            self.resources.append(_values(resource.resource.attributes))
            for scope in resource.scope_spans:
                self.spans += [_told(span) for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


@contextmanager
def a_collector(*, held: bool = False) -> Iterator[Collector]:
    """One that answers at once, unless it is `held`."""
    collector = Collector()
    if not held:
        collector.held.set()
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    collector.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector
    finally:
        collector.held.set()
        server.stop(0.1).wait()


def _told(span: Any) -> Told:
    return Told(
        name=span.name,
        kind=span.kind,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=_values(span.attributes),
        links=tuple((one.trace_id.hex(), one.span_id.hex()) for one in span.links),
        took_ns=span.end_time_unix_nano - span.start_time_unix_nano,
        is_error=span.status.code == 2,
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
