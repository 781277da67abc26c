"""The author's containers, and which of them the platform trusts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from outrider.core.jsonvalue import JsonObject
from outrider.injector.plan import Plan
from outrider.injector.reading import Container, members

_ENDS: Final = ("@", ":", "/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """The author's containers, and those of them the platform trusts (by group and place)."""

    every: tuple[Container, ...]
    trusted: frozenset[tuple[str, int]]

    def untrusted(self) -> Iterator[Container]:
        return (one for one in self.every if (one.group, one.index) not in self.trusted)

    def is_trusted(self, one: Container) -> bool:
        return (one.group, one.index) in self.trusted


def others_of(containers: Iterable[Container], plan: Plan) -> Others:
    every = tuple(containers)
    return Others(
        every=every,
        trusted=frozenset(
            (one.group, one.index)
            for one in every
            for trusted in plan.trusted
            if one.name == trusted.name
            and _is_below(str(one.body.get("image", "")), trusted.image_prefix)
        ),
    )


def _is_below(image: str, prefix: str) -> bool:
    """Whether `image` begins with `prefix` and goes on where a name ends: `vault` is no prefix of
    `vault-of-mine:1`."""
    rest = image.removeprefix(prefix)
    return image.startswith(prefix) and (not rest or prefix[-1:] in _ENDS or rest[0] in _ENDS)


def security(one: Container) -> JsonObject:
    """Its own `securityContext`. Raises `DeniedError`."""
    return members(one.body.get("securityContext"), one, "securityContext")
