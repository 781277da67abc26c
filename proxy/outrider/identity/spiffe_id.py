"""SPIFFE IDs, read strictly: what two readers could take differently is refused (SPI-01 to 10)."""

import re
from dataclasses import dataclass
from typing import Final

_LIMIT_BYTES: Final = 2048
_DOMAIN_BYTES: Final = 255
_DOMAIN: Final = re.compile(r"[a-z0-9._-]+")
_ID: Final = re.compile(r"spiffe://([a-z0-9._-]+)((?:/[a-zA-Z0-9._-]+)*)")
_DOTS: Final = frozenset({".", ".."})


class SpiffeIdError(ValueError):
    """Text that is no SPIFFE ID; the message is a fixed sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpiffeId:
    """A SPIFFE ID as written. `path` begins with `/`, or is empty for a trust domain itself."""

    text: str
    trust_domain: str
    path: str


def parse_spiffe_id(text: str) -> SpiffeId:
    """The SPIFFE ID of `text`. Raises `SpiffeIdError`.

    Nothing is normalised: upper case in the trust domain is refused, paths keep their case.
    """
    if len(text) > _LIMIT_BYTES:
        raise SpiffeIdError("longer than 2048 bytes")
    match = _ID.fullmatch(text)
    if match is None:
        raise SpiffeIdError("not spiffe://<trust domain>/<path> in the characters it allows")
    domain, path = match.groups()
    if len(domain) > _DOMAIN_BYTES:
        raise SpiffeIdError("a trust domain longer than 255 bytes")
    if not _DOTS.isdisjoint(path.split("/")):
        raise SpiffeIdError("a path with a segment of dots")
    return SpiffeId(text=text, trust_domain=domain, path=path)


def parse_trust_domain(text: str) -> str:
    """`text`, if it is a trust domain's bare name. Raises `SpiffeIdError`."""
    if len(text) > _DOMAIN_BYTES or not _DOMAIN.fullmatch(text):
        raise SpiffeIdError("not a trust domain: 1 to 255 of a-z 0-9 . _ -")
    return text
