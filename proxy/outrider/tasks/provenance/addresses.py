"""URLs and e-mail addresses in the one spelling that two of them are compared by."""

import re
import unicodedata
from typing import Final, NamedTuple
from urllib.parse import unquote, unquote_plus

_URL: Final = re.compile(r"(?:([a-z][a-z0-9+.-]*)://|(?=www\.))([^/?#\\\s]*)([^?#\s]*)(\?[^#\s]*)?(?:#.*)?",
                         re.IGNORECASE | re.DOTALL)  # fmt: skip
_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PORTS: Final = {"http": "80", "https": "443", "ws": "80", "wss": "443", "ftp": "21"}
_ADDRESS: Final = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\/]+")
_DEVIATING: Final = re.compile("[\u00df\u1e9e\u03c2]")
_OTHERS: Final = re.compile("[^\u00df\u1e9e\u03c2]+")
_NAMED: Final = re.compile(r"[^<>]*<([^<>]+)>")


def deviates(text: str) -> bool:
    """Whether `text` has a letter that names of hosts tell apart though folding case does not:
    sharp s and the sigma at the end of a word are not `ss` and sigma (UTS #46)."""
    return not text.isascii() and _DEVIATING.search(text) is not None


def lower(text: str) -> str:
    """`text` with its case folded, but for those letters."""
    if not deviates(text):
        return text.casefold()
    return _OTHERS.sub(lambda match: match[0].casefold(), text).replace("\u1e9e", "\u00df")


class Url(NamedTuple):
    """A URL's parts. `origin` is scheme, host and port; `scheme` is empty where none is written.

    `userinfo`, `climbs` (a `..` in its path): such a one is never taken for its origin's.
    """

    key: bytes
    scheme: str
    host: str
    port: str
    query: str
    userinfo: bool
    climbs: bool

    @property
    def authority(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host

    @property
    def origins(self) -> tuple[bytes, ...]:
        """The key of its origin; where no scheme is written, those of both of the web."""
        schemes = (self.scheme,) if self.scheme else ("https", "http")
        return tuple(f"\0o{scheme}://{self.authority}".encode() for scheme in schemes)

    def values(self) -> list[str]:
        """What its query carries, decoded."""
        found: list[str] = []
        for part in self.query[1:].replace(";", "&").split("&"):
            name, _, value = part.partition("=")
            found += [unquote_plus(name), unquote_plus(value)] if value else [unquote_plus(name)]
        return [value for value in found if value]


def url_of(text: str, *, bare: bool = False) -> Url | None:
    """`text` as a URL: scheme and host lower, host in A-labels without `www.` and last dot, no
    default port, no fragment, unreserved characters plain, no slash at the end. None if it is none.
    With `bare` a host needs no scheme and no `www.` before it.
    """
    if bare and "://" not in text and text[:4].lower() != "www.":
        text = "www." + text
    match = _URL.fullmatch(text)
    if match is None:
        return None
    scheme = (match[1] or "").lower()
    userinfo, _, authority = match[2].rpartition("@")
    host, port = _host_and_port(authority)
    if not host:
        return None
    if port == _PORTS.get(scheme):
        port = ""
    path = _plain(match[3])
    query = _plain(match[4] or "")
    authority = f"{host}:{port}" if port else host
    key = f"{scheme}://{authority}{path.rstrip('/')}{query}"
    return Url(
        key=key.encode("utf-8", "replace"),
        scheme=scheme,
        host=host,
        port=port,
        query=query,
        userinfo=bool(userinfo) or match[2].startswith("@"),
        climbs=".." in unquote(path).replace("\\", "/").split("/"),
    )


def _host_and_port(authority: str) -> tuple[str, str]:
    if authority.startswith("["):
        host, bracket, port = authority.partition("]")
        return (host + bracket).lower(), port.removeprefix(":")
    host, _, port = authority.partition(":")
    return host_form(host), port.lstrip("0")


def host_form(host: str) -> str:
    """A host's name lower, in A-labels, without `www.` and the last dot."""
    host = host.strip(".") if host.isascii() else unicodedata.normalize("NFKC", host).strip(".")
    host = lower(host)
    if not host.isascii():
        host = ".".join(map(_a_label, host.replace("\u3002", ".").split(".")))
    bare = host.removeprefix("www.")
    return bare if "." in bare else host


def _a_label(label: str) -> str:
    if label.isascii():
        return label
    return "xn--" + label.encode("punycode").decode("ascii")


def shown_host(host: str) -> str:
    """A host's name as people read it: A-labels decoded."""
    if "xn--" not in host:
        return host
    return ".".join(map(_u_label, host.split(".")))


def _u_label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label


def _plain(text: str) -> str:
    """`text` with unreserved characters decoded, so often that none is left, and escapes upper."""
    if "%" not in text:
        return text
    kept: list[str] = []
    for char in text:
        kept.append(char)
        while len(kept) >= 3 and kept[-3] == "%" and _ESCAPE.fullmatch("".join(kept[-3:])):
            escape = "".join(kept[-3:]).upper()
            plain = chr(int(escape[1:], 16))
            if plain not in _UNRESERVED:
                kept[-3:] = escape
                break
            kept[-3:] = plain  # which may end an escape itself
    return "".join(kept)


def email_of(text: str) -> bytes | None:
    """One address: `mailto:` and a display name off, case folded, a plus tag kept; or None."""
    if "<" in text:
        named = _NAMED.fullmatch(text)
        text = named[1] if named else ""
    if text[:7].lower() == "mailto:":
        text = unquote(text[7:])
    text = text.strip()
    if not _ADDRESS.fullmatch(text):
        return None
    if text.isascii() and text[-1] != ".":
        return text.lower().encode()
    local, _, host = text.rpartition("@")
    host = lower(host.strip("."))
    if not host:
        return None
    if not host.isascii():
        host = ".".join(map(_a_label, host.split(".")))
    return f"{lower(local)}@{host}".encode("utf-8", "replace")
