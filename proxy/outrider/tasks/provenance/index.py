"""The index of one root task: every value its agents were shown, by where it was seen.

Laws: what was only ever seen in untrusted places is never labelled better than `untrusted`; what
was seen nowhere, or can no longer be looked for, is `model`; what is forwarded is not touched.
"""

from collections.abc import Generator, Sequence

from outrider.core.action import Action
from outrider.core.catalogue import ToolEntry
from outrider.core.facts import Answered
from outrider.core.vocabulary import Role
from outrider.core.zones import Zones
from outrider.tasks.provenance.answers import Learnt, Looked


class Index:
    """One for each root task on each sidecar; bounded. `key` is secret and the task's own: digests
    and fingerprints are the same on every sidecar that has it. `incomplete` says that others read
    for this task, or it ran here before, without the index seeing it.

    A large answer or call is taken in steps, so that the loop keeps its turn: `learning` and
    `looking` are generators that yield after at most about 0.5 ms of work each and return what
    `learn` and `look`, which never pause, give.
    """

    def __init__(self, *, key: bytes, incomplete: bool = False) -> None:
        self._key, self._incomplete = key, incomplete

    def anchor(self, texts: Sequence[str]) -> None:
        """What the principal wrote when the task was registered: its values are `user`."""

    def endorse(self, value: str, *, role: Role, kind: str | None, source: str) -> None:
        """A person trusts `value` in arguments of this role and type: `user`, from `apr_…`."""

    def learning(
        self, event: str, answered: Answered, *, action: Action | None, entry: ToolEntry
    ) -> Generator[None, None, Learnt]:
        """Take in part of an answer before it is relayed. `event` is the id its values' sources
        begin with (`evt_17`, or `mem_…` for what memory kept). `entry` is what the manifest says
        of `action`, which it answers; None where it came unasked."""
        raise NotImplementedError

    def learn(
        self, event: str, answered: Answered, *, action: Action | None, entry: ToolEntry
    ) -> Learnt:
        """`learning` in one go."""
        raise NotImplementedError

    def wrote(self, action: Action, *, entry: ToolEntry, event: str) -> None:
        """An allowed action succeeded: what a `write` names as its target is `session` now."""

    def looking(
        self, action: Action, *, entry: ToolEntry, zones: Zones
    ) -> Generator[None, None, Looked]:
        """Label the arguments of a call. Nothing is remembered of it."""
        raise NotImplementedError

    def look(self, action: Action, *, entry: ToolEntry, zones: Zones) -> Looked:
        """`looking` in one go."""
        raise NotImplementedError
