"""Where an argument points: the host in an email address, a URL, a host or `host:port`.

Law: a value that two readers could take to different hosts has no host, and what has no host no
grant covers.
"""

import re
from collections.abc import Iterator
from typing import Final

from outrider.core.action import Destination
from outrider.core.constraints import escape_token, resolve
from outrider.core.hosts import plain_host
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.zones import Zones

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#\\]*)(?:[/?#].*)?", re.DOTALL)
# Without `%` and `!`, by which older mail systems name another host to pass the message on to.
_LOCAL_PART: Final = re.compile(r"[A-Za-z0-9.#$&*+/=?^_`{|}~'-]+")


def pointers_of(arguments: JsonObject, pointer: str) -> Iterator[str]:
    """The concrete pointers of a declared one: the token `*` stands for each item of a list.

    Where something else stands in the list's place its own pointer is given: it is there, but
    not as declared.
    """
    head, star, tail = pointer.partition("/*/")
    if not star:
        yield pointer
        return
    found, value = resolve(arguments, head)
    if isinstance(value, list):
        for index in range(len(value)):
            yield from pointers_of(arguments, f"{head}/{index}/{tail}")
    elif found:
        yield head


def destinations_in(
    arguments: JsonObject, pointer: str, kind: str | None, zones: Zones
) -> Iterator[Destination]:
    """One destination for each value at `pointer`, one for each item of a list.

    Absent, null and empty lists name none. What names one that cannot be read has host None.
    """
    for concrete in pointers_of(arguments, pointer):
        _, value = resolve(arguments, concrete)
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield _destination(f"{concrete}/{index}", item, kind, zones)
        elif value is not None:
            yield _destination(concrete, value, kind, zones)


def _destination(pointer: str, value: Json, kind: str | None, zones: Zones) -> Destination:
    text = value if isinstance(value, str) else None
    host = None if text is None else host_in(text, kind)
    return Destination(pointer=pointer, value=text, host=host, zone=zones.zone_of(host))


def host_in(text: str, kind: str | None = None) -> str | None:
    """The one host `text` names, in its one spelling and without port, or None."""
    if kind == "email":
        return _email_host(text)
    if kind == "url":
        return _url_host(text)
    return _url_host(text) or _email_host(text) or _bare_host(text)


def _url_host(text: str) -> str | None:
    if text[:7].lower() == "mailto:":
        return _email_host(text[7:])
    match = _URL.fullmatch(text)
    # User information before the host and controls behind it are where readers part ways: no host.
    return None if match is None or not text.isprintable() else _bare_host(match[1])


def _email_host(text: str) -> str | None:
    """One plain address: no display name, list, quotes, comment or encoded word."""
    local, at, domain = text.partition("@")
    if not at or not _LOCAL_PART.fullmatch(local) or local.startswith("=?") or ":" in domain:
        return None
    return plain_host(domain)


def _bare_host(text: str) -> str | None:
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or ":" not in host or (port and not port.startswith(":")):
            return None
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    if port and not (port.isascii() and port.isdigit() and len(port) <= 5):
        return None
    return plain_host(host)


def host_of(authority: str | None) -> str | None:
    """`host` or `host:port` or `[v6]:port` without its port; None stays None."""
    if authority is None:
        return None
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.rpartition(":")[0] if authority.count(":") == 1 else authority


def argument_pointer(name: str) -> str:
    """How the manifest names an argument: by its own name, or by JSON pointer.

    A last token `*` says nothing more: a list always stands for its items.
    """
    return name.removesuffix("/*") if name.startswith("/") else "/" + escape_token(name)
