"""Traces, where settings ask for them."""

from outrider import __version__
from outrider.config.load import Loaded
from outrider.core.errors import ConfigError
from outrider.core.ports import Clock
from outrider.telemetry.tracing import Export, Facts, Terms, TraceEvents, exporter_of


def export_of(
    loaded: Loaded, clock: Clock, events: TraceEvents, instance: str
) -> tuple[Terms, Export] | None:
    """The exporter that `telemetry.tracing` asks for, not started; None where it asks for none.
    Blocking. Raises `ConfigError`."""
    settings = loaded.settings.telemetry.tracing
    if settings.endpoint is None:
        return None
    authorities = None
    if settings.ca_file is not None:
        try:
            authorities = loaded.path(settings.ca_file).read_bytes()
        except OSError as fault:
            raise ConfigError(
                f"telemetry.tracing.ca_file cannot be read: {fault.strerror}"
            ) from fault
    terms = Terms(
        endpoint=settings.endpoint,
        authorities=authorities,
        ratio=settings.ratio,
        callers_per_s=settings.callers_per_s,
        queue=settings.queue,
        timeout_s=settings.timeout_s,
    )
    facts = Facts(
        service=settings.service_name,
        version=__version__,
        instance=instance,
        environment=loaded.settings.environment,
    )
    return terms, exporter_of(terms, facts, clock, events)
