"""What the sidecar's own chain says of the calls it refused.

An agent is not told everything: what is not offered to it is "not known here", and a hold that
nobody can answer yet is a refusal like others. The chain has the decision.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson

from tests.scorecard.replay import Fate, Ran, Stepped

REFUSALS: Final = frozenset(
    {"held", "obligation", "policy", "grant", "budget", "quarantined", "task_ended"}
)
"""What a call may be refused for; all else means that the run itself is broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """One decision of the chain; `codes` are of the reasons that had effect."""

    effect: str
    reason: str | None
    codes: tuple[str, ...]
    pointer: str | None


class BrokenRunError(Exception):
    """A call was refused for what no setting is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """Like refusals of one resource within a second, told as one record; ids grow with time."""

    resource: str
    first: str
    last: str
    decided: Decided


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What was decided: by id, and what was folded."""

    single: Mapping[str, Decided]
    folded: tuple[Folded, ...] = ()

    def of(self, decision: str | None, resource: str) -> Decided | None:
        """The decision of that id, on that resource."""
        if decision is None:
            return None
        fitting = (
            one.decided
            for one in self.folded
            if one.resource == resource and one.first <= decision <= one.last
        )
        return self.single.get(decision) or next(fitting, None)


def read(folder: Path) -> Chain:
    """Every decision in an audit directory."""
    single: dict[str, Decided] = {}
    folded: list[Folded] = []
    for record in _records(folder):
        said = record.get("decision")
        if said is None or "effect" not in said:
            continue
        if record.get("kind") == "decision":
            single[said["id"]] = _decided(said)
        elif record.get("kind") == "repeat":
            last = record["repeat"]["last_decision"]
            resource = record["action"]["resource"]
            folded.append(
                Folded(resource=resource, first=said["id"], last=last, decided=_decided(said))
            )
    return Chain(single=single, folded=tuple(folded))


def settled(run: Ran, chain: Chain) -> Ran:
    """The run with the fate of each refused call as the chain has it.

    Raises:
        BrokenRunError: a call was refused for a fault of the sidecar or of the run.
    """
    return replace(run, steps=tuple(_settled(step, run.suite, chain) for step in run.steps))


def _settled(step: Stepped, suite: str, chain: Chain) -> Stepped:
    known = chain.of(step.decision, f"{suite}/{step.tool}")
    if known is None:
        return step
    if known.reason not in REFUSALS:
        raise BrokenRunError(f"{step.tool} was refused for {known.reason} {known.codes}")
    fate = Fate.HELD if known.effect == "hold" else Fate.DENIED
    codes = known.codes or (str(known.reason),)
    return replace(step, fate=fate, codes=codes, pointer=known.pointer)


def _decided(said: Mapping[str, Any]) -> Decided:
    reasons = [one for one in said.get("reasons", ()) if one["mode"] == "enforce"]
    pointers = [one["pointer"] for one in reasons if one.get("pointer") is not None]
    return Decided(
        effect=said["effect"],
        reason=said.get("reason"),
        codes=tuple(dict.fromkeys(one["code"] for one in reasons)),
        pointer=pointers[0] if pointers else None,
    )


def _records(folder: Path) -> Iterator[Mapping[str, Any]]:
    for path in sorted(folder.iterdir()):
        if path.suffix not in {".jsonl", ".open"} or not path.is_file():
            continue
        for line in path.read_bytes().splitlines(keepends=True):
            # the last line may be half written; what follows the records is the file's own
            if line.startswith(b"{") and line.endswith(b"\n"):
                yield orjson.loads(line)
