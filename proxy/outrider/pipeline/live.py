"""Every exchange, stream and tunnel under way, so that any of them can be cut at once."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass

from outrider.core.errors import EnforcementError
from outrider.core.exchange import TlsPeer
from outrider.core.vocabulary import Reason


@dataclass(slots=True, kw_only=True)
class LiveExchange:
    """One exchange under way: whose it is and how far it came. Mutable; owned by the pipeline.

    `wake` stands where its answer tells of what its caller may see; it is `stale` from a change
    of that until the answer has looked again. `why` says more of a cut than its reason. `peer` is
    who its caller proved to be by mutual TLS; `attested` is True where its caller is taken for
    our own agent by where it stands, which holds as long as our own identity does; `still` says
    whether the bearer that named its caller would be taken now. `refused` once its refusal is on
    its way: there is nothing left to cut.
    """

    id: str
    agent: str | None = None
    peer: TlsPeer | None = None
    attested: bool = False
    still: Callable[[], bool] | None = None
    task: str | None = None
    upstream: str | None = None
    tools: tuple[str, ...] = ()
    conversation: object | None = None
    cut_for: Reason | None = None
    why: EnforcementError | None = None
    abandoned: bool = False
    refused: bool = False
    wake: Callable[[], None] | None = None
    stale: bool = False
    _task: "asyncio.Task[object] | None" = None


class LiveExchanges:
    """The registry. `cut` acts on the event loop at once and never waits."""

    def __init__(self) -> None:
        self._live: dict[str, LiveExchange] = {}

    def __len__(self) -> int:
        return len(self._live)

    @property
    def abandoned(self) -> int:
        """How many run on although their caller left."""
        return sum(entry.abandoned for entry in self._live.values())

    def enter(self, entry: LiveExchange) -> None:
        entry._task = asyncio.current_task()  # noqa: SLF001 - the registry owns the field
        self._live[entry.id] = entry

    def leave(self, entry: LiveExchange) -> None:
        self._live.pop(entry.id, None)

    def changed(self, upstream: str | None = None) -> None:
        """What callers may see, of `upstream` or at all, may be another thing now: have those
        answers look again that tell of it, each in its own task."""
        for entry in self._live.values():
            if entry.wake is not None and upstream in (None, entry.upstream):
                entry.stale = True
                entry.wake()

    def end(self, conversation: object, why: EnforcementError) -> None:
        """End the exchange that `conversation` is of, in the words of `why`."""
        for entry in self._live.values():
            if entry.conversation is conversation:
                entry.why = why
        self.cut(lambda entry: entry.conversation is conversation, why.reason)

    def revalidate(self, holds: Callable[[TlsPeer], bool], *, own: bool) -> int:
        """End every exchange whose caller is no longer proven, and return how many: `holds` says
        whether a peer's proof does; `own` whether we hold an identity of our own, without which we
        speak to no peer and our agent is nobody."""
        cut = self.cut(lambda entry: not _is_proven(entry, holds, own=own), Reason.UNAUTHENTICATED)
        return len(cut)

    def cut_tasks(self, tasks: Collection[str], reason: Reason) -> int:
        """End every exchange that works for one of `tasks`, as `cut_others` does; how many."""
        return len(self.cut_others(lambda entry: entry.task in tasks, reason))

    def cut_others(self, which: Callable[[LiveExchange], bool], reason: Reason) -> tuple[str, ...]:
        """`cut`, but for the exchange that asks for it and those that are being refused."""
        asking = asyncio.current_task()
        return self.cut(
            lambda one: which(one) and not one.refused and one._task is not asking,  # noqa: SLF001
            reason,
        )

    def cut(self, which: Callable[[LiveExchange], bool], reason: Reason) -> tuple[str, ...]:
        """End every exchange that `which` picks, for `reason`; the ids of those that were cut."""
        picked = [entry for entry in self._live.values() if which(entry)]
        for entry in picked:
            entry.cut_for = reason
        tasks = [entry._task for entry in picked]  # noqa: SLF001
        for task in filter(None, tasks):
            task.cancel()
        return tuple(entry.id for entry in picked)


def _is_proven(entry: LiveExchange, holds: Callable[[TlsPeer], bool], *, own: bool) -> bool:
    if entry.still is not None and not entry.still():
        return False
    if entry.peer is not None:
        return own and holds(entry.peer)
    return own or not entry.attested
