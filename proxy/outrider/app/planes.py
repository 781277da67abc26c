"""The data plane that one version of the settings makes of a running sidecar's parts."""

import asyncio
from typing import TYPE_CHECKING

from outrider.app import policy as policy_parts
from outrider.app.data_plane import (
    DataPlane,
    adapters_of,
    credential_headers,
    places_of,
    pool_of,
    providers_of,
    routes_of,
)
from outrider.app.listening import EGRESS, INGRESS
from outrider.config.load import Loaded
from outrider.core.vocabulary import Direction
from outrider.identity.subject import CallerIdentifier
from outrider.pipeline.enforcer import Enforcer
from outrider.pipeline.parts import Parts
from outrider.pipeline.sample import ExchangeSample
from outrider.protocols.adapters.mcp.adapter import McpAdapter
from outrider.server.jobs import Errands

if TYPE_CHECKING:
    from outrider.app.sidecar import Sidecar


async def plane_of(sidecar: "Sidecar", loaded: Loaded) -> DataPlane:
    """The data plane for `loaded`. Raises `ConfigError`; nothing is changed yet."""
    settings = loaded.settings
    routes = routes_of(settings)
    ingress = routes_of(settings, Direction.INGRESS)
    pool = await asyncio.to_thread(
        pool_of,
        loaded,
        sidecar.clock,
        sidecar.wheel,
        sidecar.metrics,
        sidecar.identity,
        sidecar.instance,
        unproven=sidecar.capturing.lookup(),
    )
    mcp = McpAdapter(
        limits=settings.limits,
        pins=sidecar.state.pins,
        sessions=sidecar.state.sessions,
        seals=sidecar.state.seals,
        clock=sidecar.clock,
    )
    binder = sidecar.tasks.binder(loaded)
    identifier = CallerIdentifier(
        settings=settings.identity,
        listeners={
            EGRESS: settings.listeners.egress,
            INGRESS: settings.listeners.ingress,
        },
        keeper=sidecar.identity.keeper,
        events=sidecar.metrics,
        clock=sidecar.clock,
        instance=sidecar.instance,
        issuers=sidecar.identity.issuers,
    )
    parts = Parts(
        identifier=sidecar.agents.seen.noting(identifier),
        decider=policy_parts.decider_of(loaded, sidecar.keeper, sidecar.clock, sidecar.metrics),
        binder=binder,
        own=sidecar.tasks.own(binder),
        books=sidecar.books,
        care=sidecar.tasks.care(),
        quarantine=sidecar.quarantine,
        routes=routes,
        ingress=ingress,
        own_agent=sidecar.own_agent,
        adapters=adapters_of(settings.limits, mcp),
        upstream=pool,
        credentials=providers_of(loaded, sidecar.state.key, sidecar.clock),
        upstream_credentials={
            name: upstream.credential
            for name, upstream in settings.upstreams.items()
            if upstream.credential
        },
        audit=sidecar.audit,
        store=sidecar.store,
        slots=sidecar.slots,
        metrics=sidecar.metrics,
        live=sidecar.live,
        jobs=Errands(sidecar.jobs),
        clock=sidecar.clock,
        credential_headers=credential_headers(settings),
        tracer=sidecar.tracing,
        places=places_of(settings),
        sample=ExchangeSample(settings.telemetry.log_sample),
    )
    enforcer = Enforcer(parts, answer_bytes=settings.limits.response_bytes)
    return DataPlane(loaded=loaded, routes=routes, ingress=ingress, pool=pool, enforcer=enforcer)
