"""Zones: which network a destination lies in, as data says; what no line names is external."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from outrider.core.errors import ConfigError
from outrider.core.globs import HostGlob, parse_host_glob
from outrider.core.jsonvalue import Json, JsonObject

EXTERNAL: Final = "external"
_Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Zones:
    """Names of networks: hosts by exact name or `*.suffix`, addresses by CIDR.

    The longest line that fits wins; an exact name wins over every suffix.
    """

    domains: tuple[tuple[str, str], ...] = ()  # (pattern, zone)
    cidrs: tuple[tuple[str, str], ...] = ()
    exact: dict[str, str] = field(init=False, repr=False, compare=False)
    suffixes: tuple[tuple[HostGlob, str], ...] = field(init=False, repr=False, compare=False)
    networks: tuple[tuple[_Network, str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        globs = [(parse_host_glob(pattern), zone) for pattern, zone in self.domains]
        open_ones = [(glob, zone) for glob, zone in globs if glob.text.startswith("*")]
        open_ones.sort(key=lambda line: len(line[0].text), reverse=True)
        networks = [(ip_network(cidr), zone) for cidr, zone in self.cidrs]
        networks.sort(key=lambda line: line[0].prefixlen, reverse=True)
        exact = {glob.text: zone for glob, zone in globs if not glob.text.startswith("*")}
        object.__setattr__(self, "exact", exact)
        object.__setattr__(self, "suffixes", tuple(open_ones))
        object.__setattr__(self, "networks", tuple(networks))

    def zone_of(self, host: str | None) -> str:
        """The zone of a host or address without port; external where no line fits."""
        if host is None:
            return EXTERNAL
        host = host.lower()
        if host in self.exact:
            return self.exact[host]
        if ":" in host or host[-1:].isdigit():
            return self._zone_of_address(host)
        for glob, zone in self.suffixes:
            if glob.matches(host):
                return zone
        return EXTERNAL

    def _zone_of_address(self, host: str) -> str:
        try:
            address = ip_address(host)
        except ValueError:
            return EXTERNAL  # 127.1, 2130706433 and the like: nobody says whose they are
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        for network, zone in self.networks:
            if address in network:
                return zone
        return EXTERNAL


def parse_zones(document: Json) -> Zones:
    """`data.outrider.zones`: `{domains: {pattern: zone}, cidrs: {network: zone}}`.

    Raises `ConfigError` naming the line.
    """
    if document is None:
        return Zones()
    if not isinstance(document, dict) or not document.keys() <= {"domains", "cidrs"}:
        raise ConfigError("zones: give a map of domains and cidrs")
    for pattern, _ in _lines(document, "domains"):
        try:
            parse_host_glob(pattern)
        except ValueError as error:
            raise ConfigError(f"zones.domains: {pattern!r}: {error}") from None
    for cidr, _ in _lines(document, "cidrs"):
        try:
            ip_network(cidr)
        except ValueError as error:
            raise ConfigError(f"zones.cidrs: {error}; give a network such as 10.0.0.0/8") from None
    return Zones(domains=_lines(document, "domains"), cidrs=_lines(document, "cidrs"))


def _lines(document: JsonObject, key: str) -> tuple[tuple[str, str], ...]:
    lines = document.get(key, {})
    if not isinstance(lines, dict):
        raise ConfigError(f"zones.{key}: give a map to the name of a zone")
    found: list[tuple[str, str]] = []
    for pattern, zone in lines.items():
        if not isinstance(zone, str) or not zone:
            raise ConfigError(f"zones.{key}.{pattern} is {zone!r}; give the name of a zone")
        found.append((pattern, zone))
    return tuple(found)
