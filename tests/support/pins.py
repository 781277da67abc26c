"""A person's word on pins, as tests give it."""

from outrider.core.ports import Step
from outrider.protocols.pins import PinTable


def accept(pins: PinTable, upstream: str, name: str | None = None) -> list[Step]:
    """Accept what `upstream` says now of `name`, or of all it has; returns what would be stored."""
    reviewed = {
        (pin.upstream, pin.kind, pin.name): pin.seen
        for pin in pins.listed(upstream)
        if name in (None, pin.name)
    }
    acceptance = pins.accepting(reviewed)
    pins.accept(acceptance)
    return acceptance.steps
