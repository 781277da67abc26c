"""What the stages are made of: every collaborator is a port, given once by the composition root."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from outrider.core.ports import (
    Adapter,
    AuditLog,
    Books,
    Care,
    Clock,
    CredentialProvider,
    Decider,
    Identifier,
    Jobs,
    Metrics,
    OwnTasks,
    Quarantine,
    Slots,
    Store,
    TaskBinder,
    Tracer,
    Upstream,
)
from outrider.core.spans import Place
from outrider.core.vocabulary import Direction, ProtocolName
from outrider.pipeline.hygiene import CREDENTIAL_HEADERS
from outrider.pipeline.live import LiveExchanges
from outrider.pipeline.routing import NO_ROUTES, RouteTable
from outrider.pipeline.sample import ExchangeSample


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """`upstream_credentials` names, for each upstream that has one, its configured credential;
    `credential_headers` are the headers in which an agent's own would travel. `routes` lead to what
    the agent may reach, `ingress` to the agent itself, for those who call in; `own_agent` is that
    agent's ID, as far as it is known; `places` say where each upstream is, for spans."""

    identifier: Identifier
    decider: Decider
    binder: TaskBinder
    books: Books
    care: Care
    quarantine: Quarantine
    routes: RouteTable
    adapters: Mapping[ProtocolName, Adapter]
    upstream: Upstream
    credentials: Mapping[str, CredentialProvider]
    upstream_credentials: Mapping[str, str]
    audit: AuditLog
    store: Store
    slots: Slots
    metrics: Metrics
    live: LiveExchanges
    jobs: Jobs
    clock: Clock
    credential_headers: frozenset[str] = CREDENTIAL_HEADERS
    ingress: RouteTable = NO_ROUTES
    own_agent: Callable[[], str | None] = lambda: None
    own: OwnTasks | None = None
    tracer: Tracer | None = None
    places: Mapping[str, Place] = field(default_factory=dict)
    sample: ExchangeSample = field(default_factory=lambda: ExchangeSample(0))

    def table(self, direction: Direction) -> RouteTable:
        """The only routes an exchange of `direction` can take."""
        if direction is Direction.EGRESS:
            return self.routes
        return self.ingress if direction is Direction.INGRESS else NO_ROUTES
