"""Globs over names and hosts: what they match, what two have in common, which is narrower.

Laws: the intersection of two globs is one glob or nothing, so *narrower than* is decidable;
matching compares byte for byte (hosts without regard to case) and folds nothing.

A name glob is split at `/`. A last segment that is exactly `*` matches one or more segments;
anywhere else `*` stands at the end of a segment and matches within it. No wildcard matches a
dot segment, plain or percent-encoded: `/home/u/*` is not a way to `/home/u/../root`. The glob `*`
alone matches everything.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

_DOTS: Final = frozenset({".", ".."})


@dataclass(frozen=True, slots=True)
class _Segment:
    """One segment: all of `text`, or with `open` whatever begins with it."""

    text: str
    open: bool

    def matches(self, segment: str) -> bool:
        if not self.open:
            return segment == self.text
        return segment.startswith(self.text) and not _is_dots(segment)

    def meet(self, other: "_Segment") -> "_Segment | None":
        if not self.open:
            return self if other.matches(self.text) else None
        if not other.open:
            return other if self.matches(other.text) else None
        longer, shorter = sorted((self, other), key=lambda part: len(part.text), reverse=True)
        return longer if longer.text.startswith(shorter.text) else None


def _is_dots(segment: str) -> bool:
    return len(segment) <= 6 and segment.lower().replace("%2e", ".") in _DOTS


@dataclass(frozen=True, slots=True)
class Glob:
    """One name glob. `rest` is True where it ends in the segment `*`.

    `literal` is all there is before `rest` where nothing else is open, as text: the short way.
    """

    segments: tuple[_Segment, ...]
    rest: bool
    literal: str | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        closed = not any(part.open for part in self.segments)
        text = "/".join(part.text for part in self.segments) + "/" * self.rest
        object.__setattr__(self, "literal", text if closed else None)

    def matches(self, name: str) -> bool:
        if not self.segments:
            return True  # `*` alone: nothing lies outside it
        if self.literal is not None:
            if not self.rest:
                return name == self.literal
            if not name.startswith(self.literal):
                return False
            if "." not in name and "%" not in name:
                return True
        parts = name.split("/")
        fixed = len(self.segments)
        if not (len(parts) > fixed if self.rest else len(parts) == fixed):
            return False
        if not all(map(_Segment.matches, self.segments, parts)):
            return False
        return not (self.rest and any(map(_is_dots, parts[fixed:])))

    def meet(self, other: "Glob") -> "Glob | None":
        """What both match, as one glob, or None where that is nothing."""
        long, short = (self, other) if len(self.segments) >= len(other.segments) else (other, self)
        fixed = len(short.segments)
        if not fixed:
            return long  # `*` alone
        if len(long.segments) == fixed:
            if long.rest != short.rest:
                return None  # one wants a segment more than the other has
        elif not short.rest:
            return None
        segments = list(map(_Segment.meet, long.segments, short.segments))
        segments += [
            part if part.open or not _is_dots(part.text) else None for part in long.segments[fixed:]
        ]
        kept = tuple(part for part in segments if part is not None)
        return Glob(kept, long.rest) if len(kept) == len(segments) else None

    def __str__(self) -> str:
        texts = [part.text + "*" * part.open for part in self.segments] + ["*"] * self.rest
        return "/".join(texts)


def parse_glob(text: str) -> Glob:
    """Raises `ValueError` for a `*` that is not the end of its segment."""
    *heads, last = text.split("/")
    rest = last == "*"
    return Glob(tuple(map(_parse_segment, heads if rest else [*heads, last])), rest)


def _parse_segment(text: str) -> _Segment:
    if "*" in text[:-1]:
        raise ValueError("`*` stands only at the end of a segment")
    return _Segment(text.removesuffix("*"), text.endswith("*"))


@dataclass(frozen=True, slots=True)
class HostGlob:
    """`*` (any host), `*.suffix` (one or more labels before it) or one host, in lower case."""

    text: str

    def matches(self, host: str) -> bool:
        """`host` without port; letter case does not count."""
        host = host.lower()
        if self.text == "*":
            return True
        if self.text.startswith("*."):
            return host.endswith(self.text[1:]) and len(host) >= len(self.text)
        return host == self.text

    def meet(self, other: "HostGlob") -> "HostGlob | None":
        if self == other or other.text == "*":
            return self
        if self.text == "*":
            return other
        if self.text.startswith("*.") and other.text.startswith("*."):
            longer, shorter = sorted((self, other), key=lambda host: len(host.text), reverse=True)
            return longer if longer.text.endswith(shorter.text[1:]) else None
        if self.text.startswith("*."):
            return other if self.matches(other.text) else None
        return self if other.matches(self.text) else None

    def __str__(self) -> str:
        return self.text


def parse_host_glob(text: str) -> HostGlob:
    """Raises `ValueError` for what is neither `*`, `*.suffix` nor a host without port."""
    host = text.removeprefix("*.")
    if text != "*" and (not host or "*" in host or not is_host(host)):
        raise ValueError("give `*`, `*.suffix` or a host without port")
    return HostGlob(text.lower())


def is_host(text: str) -> bool:
    """True for a DNS name, an IPv4 address or a bare IPv6 address; no port, no brackets."""
    if ":" in text:
        return all(char in "0123456789abcdefABCDEF:." for char in text) and text.count(":") > 1
    labels = text.split(".")
    return len(text) <= 253 and all(
        0 < len(label) <= 63
        and label.isascii()
        and label.replace("-", "a").replace("_", "a").isalnum()
        for label in labels
    )


def meet_globs(left: Iterable[Glob], right: tuple[Glob, ...]) -> tuple[Glob, ...]:
    """Every glob that both sides allow, in order, none twice."""
    found = (one.meet(other) for one in left for other in right)
    return tuple(dict.fromkeys(glob for glob in found if glob is not None))


def meet_hosts(left: Iterable[HostGlob], right: tuple[HostGlob, ...]) -> tuple[HostGlob, ...]:
    found = (one.meet(other) for one in left for other in right)
    return tuple(dict.fromkeys(glob for glob in found if glob is not None))


def globs_within(inner: Iterable[Glob], outer: tuple[Glob, ...]) -> bool:
    """True if each of `inner` lies within one of `outer`."""
    return all(any(glob.meet(wide) == glob for wide in outer) for glob in inner)


def hosts_within(inner: Iterable[HostGlob], outer: tuple[HostGlob, ...]) -> bool:
    return all(any(glob.meet(wide) == glob for wide in outer) for glob in inner)
