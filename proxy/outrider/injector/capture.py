"""The nft ruleset that catches an agent's traffic, as one text (KUBERNETES §7).

Laws: atomic, and it replaces itself however often it is run; every address and port in it was
parsed and written anew, so that no text of a pod's author reaches nft; whatever no rule lets out
is refused.
"""

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from outrider.core.capture import CaptureMode
from outrider.injector.names import UID, Port

TABLE: Final = "inet outrider"
MOST_NAMESERVERS: Final = 16
MOST_SKIPPED: Final = 64
_PORTS: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_REJECT: Final = "reject with icmpx admin-prohibited"
# The kernel itself sends these, owned by nobody; without NET_RAW no agent can.
_NEIGHBOURS: Final = "nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert"


def ruleset(
    mode: CaptureMode,
    *,
    nameservers: Iterable[str],
    skip_ports: Iterable[str] = (),
    skip_subnets: Iterable[str] = (),
) -> str:
    """The text that is nft's only argument; empty in cooperative mode.

    Raises `ValueError` naming what is no address, port or CIDR, and where there are too many.
    """
    if mode is CaptureMode.COOPERATIVE:
        return ""
    dns = _addresses(nameservers)
    skipped = (*_skipped_subnets(skip_subnets), *_skipped_ports(skip_ports))
    chains = list(_filter(mode, dns, skipped))
    if mode is CaptureMode.TRANSPARENT:
        chains = [*_nat(dns, skipped), *chains]
    body = "\n".join(f"  {line}" for line in chains)
    return f"table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\n{body}\n}}\n"


def nameserver(text: str) -> IPv4Address | IPv6Address:
    """`text` as the address of a DNS server. Raises `ValueError`."""
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise ValueError(f"{text!r} has a zone; give a plain address")
    if address.is_unspecified or address.is_multicast:
        raise ValueError(f"{text!r} is no server's address")
    return address


def port_range(text: str) -> str:
    """`text`, a port or a range, as nft writes it. Raises `ValueError`."""
    found = _PORTS.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no port and no range such as 9000-9010")
    low, high = int(found[1]), int(found[2] or found[1])
    if not 1 <= low <= high <= 65535:
        raise ValueError(f"{text!r} is not between 1 and 65535, low before high")
    return str(low) if low == high else f"{low}-{high}"


def subnet(text: str) -> str:
    """`text`, a CIDR, as nft writes it. Raises `ValueError`."""
    network = ip_network(text.strip(), strict=False)
    if isinstance(network.network_address, IPv6Address) and network.network_address.scope_id:
        raise ValueError(f"{text!r} has a zone; give a plain network")
    if network.prefixlen == 0:
        raise ValueError(f"{text!r} is every address; use capture mode cooperative")
    return str(network)


def _addresses(nameservers: Iterable[str]) -> dict[str, list[str]]:
    """Family's keyword in nft -> its addresses, sorted."""
    given = {nameserver(text) for text in nameservers}
    if len(given) > MOST_NAMESERVERS:
        raise ValueError(f"more than {MOST_NAMESERVERS} DNS servers")
    found = {
        "ip": sorted(str(one) for one in given if one.version == 4),
        "ip6": sorted(str(one) for one in given if one.version == 6),
    }
    return {family: addresses for family, addresses in found.items() if addresses}


def _skipped_subnets(subnets: Iterable[str]) -> Iterator[str]:
    for network in _bounded("subnets", {subnet(text) for text in subnets}):
        yield f"{'ip6' if ':' in network else 'ip'} daddr {network}"


def _skipped_ports(ports: Iterable[str]) -> Iterator[str]:
    for ports_ in _bounded("ports", {port_range(text) for text in ports}):
        yield f"tcp dport {ports_}"


def _bounded(what: str, found: set[str]) -> list[str]:
    if len(found) > MOST_SKIPPED:
        raise ValueError(f"more than {MOST_SKIPPED} {what} to skip")
    return sorted(found)


def _nat(dns: dict[str, list[str]], skipped: tuple[str, ...]) -> Iterator[str]:
    yield "chain redirect_out {"
    yield "  type nat hook output priority -100; policy accept;"
    yield f"  meta skuid {UID} return"
    yield '  oifname "lo" return'
    for family, addresses in dns.items():
        yield f"  {family} daddr {{ {', '.join(addresses)} }} tcp dport 53 return"
    for match in skipped:
        yield f"  {match} return"
    yield f"  meta l4proto tcp redirect to :{Port.EGRESS.value}"
    yield "}"


def _filter(
    mode: CaptureMode, dns: dict[str, list[str]], skipped: tuple[str, ...]
) -> Iterator[str]:
    yield "chain refuse_out {"
    yield "  type filter hook output priority 0; policy drop;"
    yield f"  meta skuid {UID} accept"
    # Nothing on lo comes from a DNS server outside: an agent may bind an address that is nobody's
    # here (IPV6_FREEBIND needs no right) and answer in its name what the proxy asks it.
    for family, addresses in dns.items():
        if outside := [one for one in addresses if not ip_address(one).is_loopback]:
            yield f'  oifname "lo" {family} saddr {{ {", ".join(outside)} }} drop'
    yield '  oifname "lo" accept'
    if mode is CaptureMode.TRANSPARENT:
        # This hook still sees the interface from before the redirect.
        yield "  ct status dnat accept"
    for family, addresses in dns.items():
        servers = f"{family} daddr {{ {', '.join(addresses)} }}"
        yield f"  {servers} udp dport 53 accept"
        yield f"  {servers} tcp dport 53 accept"
    for match in skipped:
        yield f"  {match} accept"
    # Who answers a caller, and what the kernel still says for a socket that is closed, which is
    # nobody's. But the kernel forgets a connection of the sidecar's that was reset before its
    # tracker does, and an agent that takes the place would go on as the sidecar, caught no more.
    yield f"  ct direction original ct state established meta skuid != {UID} {_REJECT}"
    yield "  ct state established,related accept"
    yield f"  icmpv6 type {{ {_NEIGHBOURS} }} accept"
    yield f"  {_REJECT}"
    yield "}"
