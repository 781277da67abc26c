"""Rules of upstreams that are reached by tunnels, and of capture."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from outrider.config.settings import Settings
from outrider.config.texts import Fault
from outrider.config.upstream_settings import Upstream
from outrider.core.hosts import plain_host

HTTPS: Final = 443
_NOWHERE_ELSE: Final = (
    "leave it out: a tunnel is known by the host and port of its url alone, and what passes it is "
    "neither read nor changed"
)


def tunnel_place(upstream: Upstream) -> str | None:
    """`host:port` of a `connect` upstream, lower case; None where its url names no such place."""
    try:
        url = urlsplit(upstream.url)
        host, port = url.hostname, url.port
    except ValueError:
        return None
    if not host or plain_host(host) != host or ":" in host or host.rpartition(".")[2].isdigit():
        return None  # an address has no name to hold a handshake to
    plain = url.scheme == "https" and not (url.path or url.query or url.fragment)
    return f"{host}:{port or HTTPS}" if plain and url.username is None else None


def tunnel_faults(settings: Settings) -> Iterator[Fault]:
    """Every fault of `connect` upstreams, and of what capture needs of listeners."""
    places: dict[str, str] = {}
    for name, upstream in settings.upstreams.items():
        if upstream.protocol != "connect":
            continue
        key = f"upstreams.{name}"
        place = tunnel_place(upstream)
        if place is None:
            yield Fault(
                key=f"{key}.url",
                value=upstream.url,
                allowed="give https://host or https://host:port, a name and nothing behind it",
            )
        elif places.setdefault(place, name) != name:
            yield Fault(key=f"{key}.url", value=place, allowed=f"{places[place]} has it already")
        yield from _needless(key, upstream)
    yield from _capture(settings)


def _needless(key: str, upstream: Upstream) -> Iterator[Fault]:
    """Settings that say something of what is read, which nothing of a tunnel is."""
    given = {
        "prefix": upstream.prefix,
        "hosts": list(upstream.hosts),
        "credential": upstream.credential,
        "ca_file": upstream.ca_file,
        "tls.spiffe": None if upstream.tls.spiffe is None else "set",
    }
    for name, value in given.items():
        if value:
            yield Fault(key=f"{key}.{name}", value=value, allowed=_NOWHERE_ELSE)
    if upstream.direction != "egress":
        yield Fault(key=f"{key}.direction", value=upstream.direction, allowed="give egress")


def _capture(settings: Settings) -> Iterator[Fault]:
    capture = settings.capture
    if capture.watch and capture.mode == "cooperative":
        yield Fault(
            key="capture.watch",
            value=capture.watch,
            allowed="give capture.mode transparent or enforce-drop: here is nothing to watch",
        )
    if capture.mode == "transparent" and not settings.listeners.egress.addresses:
        yield Fault(
            key="listeners.egress.addresses",
            value=(),
            allowed="give the addresses that connections are redirected to: 127.0.0.1:15001 and "
            "[::1]:15001",
        )
