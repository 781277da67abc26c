"""What a caller's lists offered it, and under which definition."""

from outrider.core.errors import EnforcementError, MalformedError, UnrecognisedError
from outrider.core.manifest import Manifest
from outrider.core.vocabulary import Reason
from outrider.protocols.adapters.mcp.asks import invalid_params
from outrider.protocols.adapters.mcp.names import lookalike_of
from outrider.protocols.adapters.mcp.spec import Listing
from outrider.protocols.adapters.mcp.turn import Desk, Turn
from outrider.protocols.pins import Pin, PinMode
from outrider.protocols.sessions import Seen


def listed(turn: Turn, desk: Desk, listing: Listing, name: str) -> Pin:
    """The pin of a name this caller's list held. Raises for unknown, lookalike and changed."""
    seen = turn.scope.seen(listing) or Seen()
    pin = desk.pins.get(turn.route.upstream, listing, name)
    if pin is None or not seen.knows(name):
        raise not_offered(turn, seen, name)
    check_definition(turn, pin)
    return pin


def no_such_task() -> MalformedError:
    """Of a task that is not this caller's, or whose tool is not any more."""
    return invalid_params("no such task")


def check_definition(turn: Turn, pin: Pin | None) -> None:
    if pin is None or pin.fits or turn.options.pinning == PinMode.ALERT.value:
        return
    raise EnforcementError(
        "the definition differs from the accepted one",
        reason=Reason.DEFINITION_CHANGED,
        cause=pin.state.value,
        resource=f"{pin.upstream}/{pin.name}",
    )


def not_offered(turn: Turn, seen: Seen, name: str) -> UnrecognisedError:
    like = lookalike_of(name, known_names(turn.manifest, turn.route.upstream, seen))
    return UnrecognisedError(
        "no such name is offered here", cause="lookalike" if like is not None else "name"
    )


def known_names(manifest: Manifest, upstream: str, seen: Seen) -> set[str]:
    entry = manifest.upstreams.get(upstream)
    return seen.shown | seen.hidden | (set(entry.tools) if entry else set())
