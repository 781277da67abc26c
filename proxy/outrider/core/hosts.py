"""The one spelling of a host (HARDENING §9): what two readers could take for two hosts is none.

Laws: an address has one form, a name's letters are ASCII, and a name in punycode says what it
shows: letters of one script, or of scripts that are written together.
"""

import unicodedata
from ipaddress import AddressValueError, IPv4Address, IPv6Address, IPv6Network
from typing import Final

from outrider.core.globs import is_host

_ACE: Final = "xn--"
_NAT64: Final = IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = IPv6Network("::/96")
_OWN: Final = (IPv6Address("::"), IPv6Address("::1"))
# Unicode TS 39, "highly restrictive": by the first word of a character's name.
_TOGETHER: Final = (
    frozenset({"LATIN", "CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}),
    frozenset({"LATIN", "CJK", "IDEOGRAPHIC", "BOPOMOFO"}),
    frozenset({"LATIN", "CJK", "IDEOGRAPHIC", "HANGUL"}),
)
_MIDDLE_DOTS: Final = frozenset("\u00b7\u30fb")


def plain_host(text: str) -> str | None:
    """`text` in the one spelling of the host it names, without port or brackets; or None."""
    if not is_host(text):
        return None
    host = text.lower()
    if ":" in host:
        return _ipv6(host)
    labels = host.split(".")
    if _is_number(labels[-1]):  # then readers take it for an address: decimal, octal, hex, short
        return _ipv4(host)
    named = (label for label in labels if label.startswith(_ACE))
    return host if all(map(_says_what_it_shows, named)) else None


def _ipv6(host: str) -> str | None:
    try:
        address = IPv6Address(host)
    except AddressValueError:
        return None
    inner = address in _COMPATIBLE and address not in _OWN
    if address.ipv4_mapped is not None or inner or address in _NAT64:
        return None  # another spelling of an IPv4 address
    return str(address)


def _is_number(label: str) -> bool:
    if label.isdecimal():
        return True
    return label.startswith("0x") and all(char in "0123456789abcdef" for char in label[2:])


def _ipv4(host: str) -> str | None:
    try:
        return str(IPv4Address(host))
    except AddressValueError:
        return None


def _says_what_it_shows(label: str) -> bool:
    try:
        shown = label.removeprefix(_ACE).encode("ascii").decode("punycode")
        coded = shown.encode("punycode").decode("ascii")
    except UnicodeError:
        return False
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", shown).casefold())
    if shown.isascii() or shown != folded or _ACE + coded != label:
        return False
    return _is_one_script(shown)


def _is_one_script(shown: str) -> bool:
    scripts: set[str] = set()
    for char in shown:
        kind = unicodedata.category(char)[0]
        if kind in "LN" and not (char.isascii() and char.isdigit()):
            scripts.add(unicodedata.name(char, "").partition(" ")[0])
        elif kind not in "LMN" and char != "-" and char not in _MIDDLE_DOTS:
            return False
    return len(scripts) <= 1 or any(scripts <= group for group in _TOGETHER)
