"""An answer on its way back, and the steps that it is carried out in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from outrider.core.action import Ask
from outrider.core.exchange import ResponseHead
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.vocabulary import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Emit:
    """Bytes for the caller."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Actions found in the answer. `then` gets, for each, whether it may pass, and goes on.

    With phase `list` only visibility is asked and nothing is recorded; any other phase is a
    decision of its own, recorded like a request's. Without `asks` nothing is asked: the loop has
    its turn, and `then` goes on with a large work. What `then` returns may grow while it is
    carried out, so it is carried out in place, not copied.

    `refusal` is a fixed sentence of what was asked: with one, a refused ask also ends the answer,
    after `then`, in the refusal's own words. Else whoever asked would wait for ever.
    """

    asks: tuple[Ask, ...]
    phase: Phase
    then: Callable[[tuple[bool, ...]], "list[Step]"]
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Persist:
    """State that must be stored before any later step is carried out. None deletes the key."""

    table: str
    key: str
    value: JsonObject | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something to count and, with `recorded`, to put on the chain. `event` is a closed word."""

    event: str
    facts: JsonObject
    recorded: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Learn:
    """Part of what the answer says, to be known before anything later leaves.

    `value` is what the manifest's field labels are about (`$`), None where there is none; `texts`
    is what has no fields. `whole` is False where more came than could be read. `failed` and `spelt`
    are as in `core.facts.Answered`.
    """

    value: Json = None
    texts: tuple[str, ...] = ()
    whole: bool = True
    failed: bool = False
    spelt: bool = False


Step: TypeAlias = Emit | Judge | Persist | Note | Learn


class Watcher(Protocol):
    """An answer on its way back, as an incremental transformer.

    Raises `EnforcementError` when the answer must be cut; what was not emitted never leaves.
    """

    def head(self) -> ResponseHead:
        """The head the caller gets; framing is the listener's. Fixed once the first step is out."""

    @property
    def streaming(self) -> bool:
        """True if pieces may leave before the end is seen (SSE, opaque bodies)."""

    def feed(self, chunk: bytes) -> "list[Step]": ...

    def end(self) -> "list[Step]": ...


def news_of(watcher: Watcher) -> Callable[[], list[Step]] | None:
    """What a watcher has to say of its own once policy, grants or pins changed, if anything. (MCP:
    a stream that tells of lists.)"""
    found: Callable[[], list[Step]] | None = getattr(watcher, "news", None)
    return found


def opening_of(watcher: Watcher) -> Callable[[], list[Step]] | None:
    """What a watcher has to say of an answer's head before that leaves, if anything."""
    found: Callable[[], list[Step]] | None = getattr(watcher, "opening", None)
    return found
