"""What can occur in a sidecar by its settings, so that those series exist at zero and no others."""

from outrider.app.listening import lets_in
from outrider.config.settings import Settings
from outrider.core.vocabulary import ProtocolName
from outrider.telemetry.families.base import Shape


def shape_of(settings: Settings) -> Shape:
    """The shape of a process with these settings; a reload may bring more, from its first event."""
    listeners, identity = settings.listeners, settings.identity
    bearers = listeners.egress.bearer or listeners.ingress.bearer
    tokens = {"jwt_svid"} if bearers else set()
    if identity.oidc:
        tokens.add("oidc")
    return Shape(
        ingress=lets_in(settings),
        protocols=frozenset(ProtocolName(one.protocol) for one in settings.upstreams.values()),
        tls=frozenset(
            "true" if one.url.startswith("https:") else "false"
            for one in settings.upstreams.values()
        ),
        tokens=frozenset(tokens),
        source=identity.source != "none",
        workload_api=identity.source == "workload_api",
        jwt_fetches=False,  # nothing in this version asks for one
        tunnels=settings.capture.mode == "transparent"
        or any(one.protocol == "connect" for one in settings.upstreams.values()),
        engines=frozenset({settings.policy.engine}),
        shared=settings.stores.kind == "redis",
    )
