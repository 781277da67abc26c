"""What really happened: the upstreams' journals and the chain, against what was wanted."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Final

import orjson

from outrider.audit.reader import Filter, Follower, Located, verify_directory
from outrider.cli.demo.story import Want
from outrider.core.jsonvalue import JsonObject, as_list, as_object
from outrider.core.ports import Clock
from outrider.core.vocabulary import Effect

RECORD_S: Final = 5.0
"""How long a record may take from the answer to the file."""
_LOOK_S: Final = 0.02
_LISTS: Final = "tools/list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one step left behind: calls that ran, decisions, and what else the chain notes."""

    calls: tuple[str, ...]
    decisions: tuple[JsonObject, ...]
    events: tuple[str, ...]


class Evidence:
    """Reads on from where it last stood."""

    def __init__(self, *, journals: Mapping[str, Path], chain: Path, clock: Clock) -> None:
        self._journals = journals
        self._offsets = dict.fromkeys(journals, 0)
        self._follower = Follower(chain, Filter())
        self._chain = chain
        self._clock = clock
        self.entries: dict[str, list[JsonObject]] = {name: [] for name in journals}
        self.decisions: list[JsonObject] = []

    def skip(self) -> None:
        """Leave out what was written so far: handshakes."""
        self._calls(lists=False)
        self._follower.fresh()

    def since(self, want: Want) -> Seen:
        """What came since the last look; waits for the decisions that are due, not for more."""
        lists = any(call.endswith(_LISTS) for call in want.calls)
        found: list[JsonObject] = []
        events: list[str] = []

        def is_whole() -> bool:
            for record in self._follower.fresh():
                events.append(str(as_object(record.get("note")).get("event")))
                if is_of_interest(record, lists=lists):
                    found.append(record)
            return bool(found) and (want.event is None or want.event in events)

        self.wait(is_whole)
        self.decisions += found
        return Seen(calls=self._calls(lists=lists), decisions=tuple(found), events=tuple(events))

    def wait_for_kind(self, kind: str, within_s: float) -> bool:
        """Whether a record of `kind` came in time."""
        return self.wait(
            lambda: any(each.get("kind") == kind for each in self._follower.fresh()), within_s
        )

    def wait(self, is_done: Callable[[], bool], within_s: float = RECORD_S) -> bool:
        until = self._clock.monotonic_s() + within_s
        while not (done := is_done()) and self._clock.monotonic_s() < until:
            sleep(_LOOK_S)
        return done

    def rest(self) -> Seen:
        """What came after the last step was looked at: nothing, where all is well."""
        found = [each for each in self._follower.fresh() if is_of_interest(each, lists=False)]
        return Seen(calls=self._calls(lists=False), decisions=tuple(found), events=())

    def verify(self) -> Located:
        """The whole chain, once nothing is half written."""
        located = verify_directory(self._chain)
        self.wait(lambda: verify_directory(self._chain).report.broken is None)
        return located if located.report.broken is None else verify_directory(self._chain)

    def _calls(self, *, lists: bool) -> tuple[str, ...]:
        """New entries of all journals as `upstream/call`."""
        calls: list[str] = []
        for name, path in self._journals.items():
            data = path.read_bytes()[self._offsets[name] :]
            whole = data[: data.rfind(b"\n") + 1]
            self._offsets[name] += len(whole)
            for line in whole.splitlines():
                entry = as_object(orjson.loads(line))
                self.entries[name].append(entry)
                if lists or entry.get("call") != _LISTS:
                    calls.append(f"{name}/{entry.get('call')}")
        return tuple(calls)


def is_of_interest(record: JsonObject, *, lists: bool) -> bool:
    """Whether it is a decision on what an agent asked for, not on a protocol's own housekeeping."""
    if record.get("kind") != "decision":
        return False
    action = as_object(record.get("action"))
    names = {None, "tools/call"} | (
        {_LISTS} if lists else set()
    )  # None: refused before it was read
    return action.get("protocol") != "mcp" or action.get("name") in names


def differences(want: Want, seen: Seen, answer: JsonObject) -> list[str]:
    """How what happened differs from what was wanted, in words; none where it does not."""
    found: list[str] = []
    if sorted(seen.calls) != sorted(want.calls):
        found.append(f"ran upstream: {_listed(seen.calls)}; wanted: {_listed(want.calls)}")
    if len(seen.decisions) != 1:
        found.append(f"{len(seen.decisions)} decisions are on the chain; wanted: 1")
    for record in seen.decisions[:1]:
        found += _decision_differences(want, record)
    shown = {str(name) for name in as_list(answer.get("tools"))}
    if want.hidden and (not shown or shown & set(want.hidden)):
        found.append(f"the agent was shown {_listed(shown)}; hidden: {_listed(want.hidden)}")
    if want.event is not None and want.event not in seen.events:
        found.append(f"the chain does not note {want.event}")
    if (fault := answer.get("raised")) is not None:
        found.append(f"the agent's client failed: {fault}")
    return found


def _decision_differences(want: Want, record: JsonObject) -> list[str]:
    decision = as_object(record.get("decision"))
    codes = [as_object(entry).get("code") for entry in as_list(decision.get("reasons"))]
    cause = decision.get("cause")
    if want.effect is Effect.ALLOW:
        cause = as_object(record.get("subject")).get("credential")
    facts = (
        ("effect", decision.get("enforced"), want.effect.value),
        ("reason", decision.get("reason"), want.reason.value if want.reason else None),
        ("cause", cause, want.cause or cause),
        ("code", want.code if want.code in codes else _listed(codes), want.code or _listed(codes)),
    )
    return [f"{name} is {was}; wanted: {wanted}" for name, was, wanted in facts if was != wanted]


def misplaced(entries: Mapping[str, Iterable[JsonObject]], desk: str) -> list[str]:
    """Credentials that are not where they belong: ours at tickets and people, none at notes."""
    found: list[str] = []
    for upstream, calls in entries.items():
        due = None if upstream == "notes" else f"Bearer {desk}"
        wrong = [entry for entry in calls if entry.get("authorization") != due]
        if wrong:
            found.append(f"{upstream} saw another credential than ours in {len(wrong)} calls")
    return found


def counted(decisions: Iterable[JsonObject]) -> dict[str, int]:
    """Decisions by what was done."""
    return dict(
        Counter(str(as_object(record.get("decision")).get("enforced")) for record in decisions)
    )


def _listed(names: Iterable[object]) -> str:
    return ", ".join(sorted(map(str, names))) or "nothing"
