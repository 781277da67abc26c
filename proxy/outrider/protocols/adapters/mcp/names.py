"""Names and URIs as the adapter takes them: literal, never folded to match (PROTOCOLS §4.5)."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from outrider.core.errors import MalformedError
from outrider.core.hosts import plain_host
from outrider.protocols.wire.jsonrpc import INVALID_PARAMS

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_URI: Final = re.compile(r"[a-z][a-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{1,2040}")
_TEMPLATE: Final = re.compile(r"[a-z][a-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%{}|-]{1,2040}")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-F]{2})")
# Letters, digits, `-`, `.`, `_` and `~` stand for themselves (RFC 3986 §2.3).
_NEEDLESS_ESCAPE: Final = re.compile(r"%(?:2[DE]|3[0-9]|[46][1-9A-F]|[57][0-9A]|5F|7E)")
_HOST: Final = re.compile(r"[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\]")
_NETWORK_SCHEMES: Final = frozenset(
    {"http", "https", "ws", "wss", "ftp", "ftps", "sftp", "ssh", "git", "svn", "ldap", "ldaps"}
    | {"smb", "nfs", "gopher", "telnet", "tftp", "dict", "rtsp", "imap", "imaps", "smtp", "smtps"}
)
_FILE: Final = "file:"
# Letters of other scripts that print like a Latin one (the commonest of Unicode TS 39).
_PRINTED_ALIKE: Final = str.maketrans(
    {
        0x0430: "a",
        0x0435: "e",
        0x043E: "o",
        0x0440: "p",
        0x0441: "c",
        0x0443: "y",
        0x0445: "x",
        0x0456: "i",
        0x0458: "j",
        0x0455: "s",
        0x04BB: "h",
        0x0501: "d",
        0x051B: "q",
        0x051D: "w",
        0x043A: "k",
        0x043C: "m",
        0x0442: "t",
        0x0578: "n",
        0x03BF: "o",
        0x03B1: "a",
        0x03BD: "v",
        0x03B9: "i",
        0x03C4: "t",
        0x03C5: "u",
        0x03BA: "k",
        0x03C1: "p",
        0x0261: "g",
        0x0131: "i",
    }
)
_DRAWN_ALIKE: Final = str.maketrans("0O1I|", "oolll")
# Tags, zero-width characters, bidirectional controls and other marks that do not show.
_INVISIBLE: Final = re.compile(
    "[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\U000e0000-\U000e007f]"
)


def is_name(value: object) -> bool:
    """Whether `value` may name a tool or prompt: 1 to 128 of `A-Za-z0-9_.-`, not dots alone."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None and value.strip(".") != ""


@lru_cache(maxsize=8192)
def skeletons(name: str) -> tuple[str, str]:
    """Two forms of a name; names that share one of them look alike to a person."""
    plain = unicodedata.normalize("NFKC", name).casefold().translate(_PRINTED_ALIKE)
    drawn = unicodedata.normalize("NFKC", name).translate(_DRAWN_ALIKE).casefold()
    return plain, drawn.translate(_PRINTED_ALIKE).replace("rn", "m")


class Lookalikes:
    """Names that others could be mistaken for, looked through once however many are compared."""

    def __init__(self, known: Iterable[str]) -> None:
        self._plain: dict[str, list[str]] = {}
        self._drawn: dict[str, list[str]] = {}
        for name in known:
            plain, drawn = skeletons(name)
            # Two are enough: one of them is not the name that is asked about.
            _keep_two(self._plain.setdefault(plain, []), name)
            _keep_two(self._drawn.setdefault(drawn, []), name)

    def of(self, name: str) -> str | None:
        """One of the names that `name` could be mistaken for, without being it."""
        if not self._plain:
            return None
        plain, drawn = skeletons(name)
        alike = (*self._plain.get(plain, ()), *self._drawn.get(drawn, ()))
        return next((other for other in alike if other != name), None)


def _keep_two(names: list[str], name: str) -> None:
    if len(names) < 2 and name not in names:
        names.append(name)


def lookalike_of(name: str, known: Iterable[str]) -> str | None:
    """One of `known` that `name` could be mistaken for, without being it."""
    return Lookalikes(known).of(name)


def has_invisible(text: str) -> bool:
    """Whether `text` holds characters that a reviewer would not see."""
    return not text.isascii() and _INVISIBLE.search(text) is not None


def check_uri(value: object, *, template: bool = False) -> str:
    """`value` if it is a URI in the one spelling that is judged and forwarded.

    Raises `MalformedError`: upper-case scheme, upper-case host or user information in a network's
    scheme, dot segments in any coding, needless escapes, a file that is not at an absolute path of
    this machine, empty segments where a path is a file's or a network's, controls, anything
    outside RFC 3986.
    """
    if not isinstance(value, str) or not (_TEMPLATE if template else _URI).fullmatch(value):
        raise _bad(
            "the uri is not in the one form that is taken: a lower-case scheme, then characters of "
            "RFC 3986 alone, such as file:///a/b%20c"
        )
    if _BAD_ESCAPE.search(value) or _NEEDLESS_ESCAPE.search(value):
        raise _bad(
            "the uri has a broken or needless escape: write them in upper case, such as %2F, and "
            "only where needed"
        )
    decoded = unquote_to_bytes(value)
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        raise _bad("the uri has escapes that are not UTF-8") from None
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        raise _bad("the uri has controls")
    _check_path(value, text)
    uri_host(value)
    return value


def _check_path(value: str, text: str) -> None:
    """Refuse what a reader who decodes once (`text`) or twice could take for another path."""
    for reading in (text, unquote(text)):
        path = reading.partition("?")[0].partition("#")[0].replace("\\", "/")
        if any(segment in {".", ".."} for segment in path.partition(":")[2].split("/")):
            raise _bad("the uri has dot segments")
    scheme, _, rest = value.partition("?")[0].partition("#")[0].partition(":")
    is_file = scheme + ":" == _FILE
    if is_file and not rest.startswith("///"):
        what = "a host" if rest.startswith("//") else "no absolute path"
        raise _bad(f"the uri of a file names {what}: write file:///path")
    if (is_file or scheme in _NETWORK_SCHEMES) and "//" in rest[2:]:
        raise _bad("the uri has empty segments")


def uri_host(value: str) -> str | None:
    """The host a URI of a network scheme points at, lower case; None for other schemes."""
    if value.partition(":")[0] not in _NETWORK_SCHEMES:
        return None
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise _bad("the uri has no readable host") from None
    authority = parts.netloc
    if not host or "@" in authority or authority != authority.lower():
        raise _bad("the uri has no plain host")
    if not _HOST.fullmatch(f"[{host}]" if ":" in host else host) or plain_host(host) != host:
        raise _bad("the uri has no plain host")
    return host


def _bad(detail: str) -> MalformedError:
    return MalformedError(detail, code=INVALID_PARAMS, cause="uri")
