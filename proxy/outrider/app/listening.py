"""The data plane's listeners: egress for the local agent, ingress for those who call it."""

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final

from outrider.app import data_plane
from outrider.app.data_plane import DataPlane
from outrider.app.identity import OwnIdentity
from outrider.config.load import Loaded
from outrider.config.settings import Settings
from outrider.core.vocabulary import Direction
from outrider.server.edge import Edge, EdgeParts
from outrider.server.jobs import Jobs
from outrider.server.listener import Listener
from outrider.server.pressure import Level

EGRESS: Final = "egress"
INGRESS: Final = "ingress"


def lets_in(settings: Settings) -> bool:
    """Whether there is anything to call from outside, so that ingress is opened."""
    return any(upstream.direction == INGRESS for upstream in settings.upstreams.values())


class AgentListeners:
    """Both listeners as one thing: opened, reloaded and let go together."""

    def __init__(self, *, egress: Listener, ingress: Listener | None) -> None:
        self.egress = egress
        self.ingress = ingress

    @property
    def all(self) -> tuple[Listener, ...]:
        return (self.egress,) if self.ingress is None else (self.egress, self.ingress)

    @property
    def ports(self) -> frozenset[int]:
        """Where callers mean us."""
        return frozenset(port for one in self.all for port in one.ports)

    async def start(self, plane: DataPlane, stack: AsyncExitStack) -> None:
        """Bind and accept; `stack` lets go. Raises `ConfigError` naming what cannot be bound."""
        for listener in self.all:
            await listener.start()
            stack.callback(listener.abort)
            stack.callback(listener.stop_accepting)
        self.take(plane)

    def take(self, plane: DataPlane) -> None:
        """Other rules and limits from the next request on."""
        loaded, limits = plane.loaded, plane.loaded.settings.limits
        ports = self.egress.ports
        self.egress.edge.take(
            data_plane.gate_rules(loaded, plane.routes, ports),
            limits,
            data_plane.captured_rules(loaded, plane.routes),
        )
        if self.ingress is not None:
            self.ingress.edge.take(data_plane.ingress_rules(loaded, plane.ingress), limits)

    def leave_strangers(self) -> None:
        """We hold no identity: nobody's connection to us is kept for a next request."""
        if self.ingress is not None:
            self.ingress.close_idle()

    def relieve(self, level: Level) -> None:
        """Give way under pressure (HARDENING §7)."""
        for listener in self.all:
            if level >= Level.TRIM:
                listener.close_idle()
            if level >= Level.SOFT:
                listener.abort_largest()


def listeners_of(
    loaded: Loaded, plane: DataPlane, identity: OwnIdentity, parts: EdgeParts, jobs: Jobs
) -> AgentListeners:
    """Made, not bound yet; `parts` are egress's, `jobs` run handshakes. Raises `ConfigError`."""
    settings = loaded.settings
    egress = Listener(edge=Edge(parts), settings=settings.listeners.egress)
    if not lets_in(settings):
        return AgentListeners(egress=egress, ingress=None)
    edge = Edge(
        replace(
            parts,
            name=INGRESS,
            direction=Direction.INGRESS,
            rules=data_plane.ingress_rules(loaded, plane.ingress),
            uids=frozenset(),
            own_domain=identity.own_domain,
            captured=None,
        )
    )
    tls = identity.server_context()
    ingress = Listener(edge=edge, settings=settings.listeners.ingress, tls=tls, jobs=jobs)
    return AgentListeners(egress=egress, ingress=ingress)
