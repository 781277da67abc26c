"""Which upstream an exchange is for: settings decide, nothing is guessed."""

from collections.abc import Iterable
from typing import Final

from outrider.core.exchange import RequestHead
from outrider.core.ports import Route
from outrider.core.vocabulary import ProtocolName

RESERVED: Final = "/.outrider/"
"""Paths under it are the sidecar's own and are never forwarded (CONTRACTS §4)."""
_CONNECT: Final = "CONNECT"


class RouteTable:
    """Routes by host, then by the longest path prefix that ends at a segment.

    A route with a host serves that host alone; one without serves the listener's own names. Hosts
    are compared whole, with the port where it is not the scheme's own. A tunnel's route serves its
    `host:port`, and nothing else leads there.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_host: dict[str, list[Route]] = {}
        self._by_prefix: list[Route] = []
        self._tunnels: dict[str, Route] = {}
        for route in routes:
            if route.protocol is ProtocolName.CONNECT and route.host is not None:
                self._tunnels[route.host] = route
            elif route.host is None:
                self._by_prefix.append(route)
            else:
                self._by_host.setdefault(route.host, []).append(route)
        for group in (self._by_prefix, *self._by_host.values()):
            group.sort(key=lambda route: len(route.prefix), reverse=True)

    @property
    def hosts(self) -> frozenset[str]:
        """Every host that a route names."""
        return frozenset(self._by_host)

    @property
    def has_tunnels(self) -> bool:
        """Whether anybody may be reached by a tunnel."""
        return bool(self._tunnels)

    def find(self, host: str, path: str, *, absolute: bool = False) -> Route | None:
        """The route for `path` on `host`, or None. An absolute-form target needs a host's route."""
        if path.startswith(RESERVED):
            return None
        named = self._by_host.get(host)
        if named is not None:
            return _longest(named, path)
        return None if absolute else _longest(self._by_prefix, path)

    def choose(self, head: RequestHead) -> Route | None:
        if head.method == _CONNECT:
            return self._tunnels.get(head.host)
        return self.find(head.host, head.path, absolute=head.absolute)


NO_ROUTES: Final = RouteTable(())


def _longest(routes: list[Route], path: str) -> Route | None:
    for route in routes:
        prefix = route.prefix
        if path.startswith(prefix) and (len(path) == len(prefix) or path[len(prefix)] == "/"):
            return route
    return None
