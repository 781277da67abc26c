"""Settings of logs, metrics and traces."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """Traces by OpenTelemetry; off without an endpoint. Takes the extra `outrider[otel]`."""

    endpoint: str | None = None
    """`https://host:port` of a collector that takes OTLP over gRPC; http to loopback, or with
    `allow_plain`. Spans hold names of tools and upstreams, where these are, and 64 characters of a
    request's id, never arguments, bodies or secrets."""
    ca_file: str | None = None
    """PEM file of the CA certificates that it is verified by, with https; default: the system's."""
    allow_plain: bool = False
    """Let http be used beyond loopback: whoever is on the way sees which tools are called."""
    ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of the exchanges sampled that come without a trace of their own."""
    callers_per_s: Annotated[int, Field(ge=0, le=10_000)] = 10
    """Exchanges a second at most that are sampled since their callers ask for it."""
    queue: Annotated[int, Field(ge=1, le=100_000)] = 1024
    """Traced exchanges that may wait to be sent; further ones are dropped and counted."""
    timeout_s: Annotated[int, Field(ge=1, le=60)] = 5
    """Seconds that the collector may take; no exchange ever waits for it."""
    service_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]{1,64}$")] = "outrider"
    """`service.name` of the spans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least grave log lines written; can be changed on the control listener."""
    log_sample: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of exchanges that get a log line when they end, 0 to 1; metrics and audit have all."""
    max_series: Annotated[int, Field(ge=1000, le=50_000)] = 5000
    """Most lines of the metrics page; past it, names are folded into `other`."""
    tracing: Tracing = field(default_factory=Tracing)
    """Which exchanges are traced, and where their spans go."""
