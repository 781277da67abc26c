"""What kind of address one is, and which may be dialled (HARDENING §9).

Laws: only public addresses are dialled unless the upstream's networks list them; every address a
name resolves to is checked, and a host that only looks like a number is refused.
"""

import ipaddress
import re
from enum import StrEnum
from typing import Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class IpClass(StrEnum):
    """`ip_class` of a dialled address, as policy sees it."""

    PUBLIC = "public"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link_local"
    METADATA = "metadata"
    PRIVATE = "private"
    SHARED = "shared"
    UNSPECIFIED = "unspecified"
    MULTICAST = "multicast"
    TRANSLATED = "translated"
    RESERVED = "reserved"


_CLASSES: Final[tuple[tuple[str, IpClass], ...]] = (
    ("169.254.169.254/32", IpClass.METADATA),
    ("fd00:ec2::254/128", IpClass.METADATA),
    ("0.0.0.0/8", IpClass.UNSPECIFIED),
    ("::/128", IpClass.UNSPECIFIED),
    ("127.0.0.0/8", IpClass.LOOPBACK),
    ("::1/128", IpClass.LOOPBACK),
    ("169.254.0.0/16", IpClass.LINK_LOCAL),
    ("fe80::/10", IpClass.LINK_LOCAL),
    ("10.0.0.0/8", IpClass.PRIVATE),
    ("172.16.0.0/12", IpClass.PRIVATE),
    ("192.168.0.0/16", IpClass.PRIVATE),
    ("fc00::/7", IpClass.PRIVATE),
    ("fec0::/10", IpClass.PRIVATE),
    ("100.64.0.0/10", IpClass.SHARED),
    ("224.0.0.0/4", IpClass.MULTICAST),
    ("ff00::/8", IpClass.MULTICAST),
    ("::ffff:0:0/96", IpClass.TRANSLATED),
    ("::/96", IpClass.TRANSLATED),
    ("64:ff9b::/96", IpClass.TRANSLATED),
    ("64:ff9b:1::/48", IpClass.TRANSLATED),
    ("2002::/16", IpClass.TRANSLATED),
    ("2001::/32", IpClass.TRANSLATED),
    ("192.0.0.0/24", IpClass.RESERVED),
    ("192.0.2.0/24", IpClass.RESERVED),
    ("198.18.0.0/15", IpClass.RESERVED),
    ("198.51.100.0/24", IpClass.RESERVED),
    ("203.0.113.0/24", IpClass.RESERVED),
    ("240.0.0.0/4", IpClass.RESERVED),
    ("2001:db8::/32", IpClass.RESERVED),
    ("100::/64", IpClass.RESERVED),
)
_NETWORKS: Final = tuple((ipaddress.ip_network(text), kind) for text, kind in _CLASSES)
_NUMERIC: Final = re.compile(r"(?i)(?:0x[0-9a-f]*|[0-9]+)").fullmatch


def ip_class(address: Address | str) -> IpClass:
    """The class of an address; the first row that holds it. Raises `ValueError` for no address."""
    value = ipaddress.ip_address(address) if isinstance(address, str) else address
    for network, kind in _NETWORKS:
        if value.version == network.version and value in network:
            return kind
    return IpClass.PUBLIC


def literal(host: str) -> Address | None:
    """`host` as an address where it is written as one (IPv6 without brackets), else None."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_ambiguous_host(host: str) -> bool:
    """True for a host resolvers may read as a number (`0x7f.1`, `2130706433`) or rooted (`a.`)."""
    if not host or host.endswith(".") or "%" in host or not host.isascii():
        return True
    return literal(host) is None and _NUMERIC(host.rsplit(".", 1)[-1]) is not None


def may_dial(address: Address, networks: tuple[Network, ...]) -> bool:
    """True for public addresses and those in `networks`. Mapped addresses need their own row."""
    if any(address.version == network.version and address in network for network in networks):
        return True
    return ip_class(address) is IpClass.PUBLIC
