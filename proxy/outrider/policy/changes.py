"""The one change that would flip a decision: tried, not guessed.

Laws: a change is told only after policy was asked with it and answered otherwise; few things change
at once, the caller's own arguments before facts about it, those before what kind of action it is;
a fact that policy data gives is changed where the data stands; tries are counted.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.core.vocabulary import CLASS_OF, ActionEffect
from outrider.policy.clauses import Clause, Lens
from outrider.policy.readings import Reading, Readings

TRIES: Final = 400
DATA_TRIES: Final = 60
_LEAVES: Final = 40
_VALUES: Final = 14
_BESIDE: Final = 3
_ORDER: Final = ("deny", "hold", "allow")
_SUBJECT_FACTS: Final = ("owner", "sponsor", "tier", "environment", "status")
_ARGUMENTS: Final = "/action/properties/arguments"
_KINDS_OF_ACTION: Final = (
    "/version", "/subject/id", "/subject/type", "/action/name", "/action/properties/protocol",
    "/action/properties/phase", "/action/properties/effect", "/action/properties/class",
    "/resource/type", "/resource/id", "/resource/properties/upstream",
)  # fmt: skip
_DECLARED: Final[JsonObject] = {
    "effect": "read", "reversible": True, "impact": "low", "sensitivity": "internal",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One place in the `input` or in policy's `data` with another value; `before` may be absent."""

    document: str
    pointer: str
    before: Json
    after: Json

    def told(self) -> JsonObject:
        return {
            "document": self.document,
            "pointer": self.pointer,
            "from": self.before,
            "to": self.after,
        }


Edit = tuple[Change, ...]


class ChangeSearch:
    """Looks for an edit after which `entrypoint` says something else."""

    def __init__(self, lens: Lens, query: JsonObject, entrypoint: str) -> None:
        self._lens = lens
        self._query = query
        self._entrypoint = entrypoint
        self._readings = Readings(lens)
        self._links = dict(_links(lens.data, query))

    def find(self, effect: str, clauses: Iterable[Clause]) -> JsonObject | None:
        """The change to tell, or None where none was found within the tries."""
        facts = self._readings.of(clauses)
        groups = (
            (self._leaf_edits(facts, 0, 1), TRIES),
            (self._registrations(), DATA_TRIES),
            (self._approval(effect), 1),
            (self._leaf_edits(facts, 2, 2), TRIES),
            (self._data_edits(facts), DATA_TRIES),
            (self._leaf_edits(facts, 3, 3), TRIES),
        )
        second: JsonObject | None = None
        for edits, tries in groups:
            best = self._best(effect, edits, tries)
            if best is not None and (effect == "allow" or best["effect"] == "allow"):
                return best
            second = second or best
        return second

    def _best(self, effect: str, edits: Iterator[Edit], tries: int) -> JsonObject | None:
        second: JsonObject | None = None
        for _, edit in zip(range(tries), edits, strict=False):
            answer = decision_of(self._answer(edit))
            found = answer.get("effect")
            if found not in _ORDER or found == effect:
                continue
            if effect != "allow" and _ORDER.index(str(found)) < _ORDER.index(effect):
                continue
            told = _told(edit, answer)
            if found == "allow" or effect == "allow":
                return told
            second = second or told
        return second

    def _answer(self, edit: Edit) -> Json:
        query = copy.deepcopy(self._query)
        data: JsonObject | None = None
        for change in edit:
            if change.document == "data":
                data = data if data is not None else copy.deepcopy(self._lens.data)
                put(data, change.pointer, change.after)
            else:
                put(query, change.pointer, change.after)
        if data is not None:
            self._lens.lay(data)
        self._lens.look_at(query)
        try:
            return self._lens.decide(self._entrypoint)
        finally:
            if data is not None:
                self._lens.lay(self._lens.data)
            self._lens.look_at(self._query)

    # --- edits --------------------------------------------------------------------------

    def _leaf_edits(self, facts: list[Reading], low: int, high: int) -> Iterator[Edit]:
        places: dict[str, tuple[Json, list[Reading]]] = {}
        for fact in facts:
            for path in fact.inputs:
                for pointer, value in _leaves(self._query, path):
                    if low <= _rank(pointer) <= high:
                        places.setdefault(pointer, (value, []))[1].append(fact)
        for pointer in sorted(places, key=_rank):
            value, reading = places[pointer]
            for other in self._others(pointer, value, reading):
                yield self._edit(pointer, value, other)

    def _others(self, pointer: str, value: Json, facts: list[Reading]) -> list[Json]:
        """Values to try at `pointer` in place of `value`, the likeliest first."""
        known = list(self._readings.constants_at(pointer))
        for fact in sorted(facts, key=lambda one: len(one.inputs)):
            # A text beside many places says little about any one of them.
            near = len(fact.inputs) <= _BESIDE
            named = (*fact.constants, *fact.data_values)
            known += [one for one in named if near or not isinstance(one, str)]
        found: list[Json] = []
        for other in (*known, *_made_up(value, known, argument=pointer.startswith(_ARGUMENTS))):
            if not _fits(value, other) or _same(other, value):
                continue
            if not any(_same(other, one) for one in found):
                found.append(other)
        return found[:_VALUES]

    def _edit(self, pointer: str, before: Json, after: Json) -> Edit:
        changes = [Change(document="input", pointer=pointer, before=before, after=after)]
        if pointer == "/action/properties/effect" and after in set(ActionEffect):
            place = "/action/properties/class"
            was, now = get(self._query, place), CLASS_OF[ActionEffect(str(after))].value
            if was != now:
                changes.append(replace(changes[0], pointer=place, before=was, after=now))
        source = self._source(pointer)
        was = get(self._lens.data, source) if source is not None else None
        if source is not None and not _same(was, after):
            changes.insert(0, Change(document="data", pointer=source, before=was, after=after))
        return tuple(changes)

    def _source(self, pointer: str) -> str | None:
        """Where in policy's data a fact of the input comes from."""
        for own, source in self._links.items():
            if pointer == own or pointer.startswith(f"{own}/"):
                return source + pointer[len(own) :]
        return None

    def _approval(self, effect: str) -> Iterator[Edit]:
        place = "/context/approval/state"
        if effect == "hold" and get(self._query, place) != "granted":
            yield self._edit(place, get(self._query, place), "granted")

    def _registrations(self) -> Iterator[Edit]:
        """What is unknown made known: the agent with a grant, the tool in the manifest."""
        agent = get(self._query, "/subject/id")
        resource = get(self._query, "/resource/id")
        agents = get(self._lens.data, "/outrider/agents")
        if isinstance(agent, str) and agent not in as_object(agents):
            yield self._agent(agent, str(resource))
        upstream = get(self._query, "/resource/properties/upstream")
        declared = get(self._query, "/resource/properties/declared")
        if declared is not True and get(self._query, "/resource/type") == "tool":
            name = str(resource).removeprefix(f"{upstream}/")
            yield self._tool(str(upstream), name)

    def _agent(self, agent: str, resource: str) -> Edit:
        effect = get(self._query, "/action/properties/effect")
        entry: JsonObject = {
            "owner": "(its owner)",
            "sponsor": "(its sponsor)",
            "escalation": "(who is called)",
            "review_by": _next_year(get(self._query, "/context/time/rfc3339")),
            "tier": "standard",
            "environment": get(self._query, "/context/environment"),
            "status": "active",
            "grant": {"tools": [resource], "effects": [effect]},
        }
        place = pointer_of(("outrider", "agents", agent))
        changes = [Change(document="data", pointer=place, before=None, after=entry)]
        status = "/subject/properties/status"
        changes.append(self._edit(status, get(self._query, status), "active")[-1])
        if get(self._query, "/context/task") is None:
            task: JsonObject = {
                "state": "active",
                "standing": True,
                "deadline": None,
                "grant": entry["grant"],
            }
            changes.append(self._edit("/context/task", None, task)[-1])
        return tuple(changes)

    def _tool(self, upstream: str, name: str) -> Edit:
        place = pointer_of(("outrider", "manifest", upstream, "tools", name))
        changes = [Change(document="data", pointer=place, before=None, after=dict(_DECLARED))]
        facts: JsonObject = {
            "/resource/properties/declared": True,
            "/resource/properties/sensitivity": _DECLARED["sensitivity"],
            "/action/properties/effect": _DECLARED["effect"],
            "/action/properties/class": "read",
            "/action/properties/reversible": _DECLARED["reversible"],
            "/action/properties/impact": _DECLARED["impact"],
        }
        for pointer, after in facts.items():
            was = get(self._query, pointer)
            if not _same(was, after):
                changes.append(Change(document="input", pointer=pointer, before=was, after=after))
        return tuple(changes)

    def _data_edits(self, facts: list[Reading]) -> Iterator[Edit]:
        tried: dict[str, list[Json]] = {}
        for fact in facts:
            given = [value for path in fact.inputs for _, value in _leaves(self._query, path)]
            for path in fact.datas:
                pointer = pointer_of(path)
                value = get(self._lens.data, pointer)
                if pointer.startswith("/outrider/manifest"):
                    continue
                before = tried.setdefault(pointer, [value])
                for other in _other_data(value, given, fact):
                    if any(_same(other, one) for one in before):
                        continue
                    before.append(other)
                    yield (Change(document="data", pointer=pointer, before=value, after=other),)


def _next_year(now: Json) -> str:
    """A day within a year of `now` (RFC 3339) by which somebody is to look again."""
    year = str(now)[:4]
    return f"{int(year) + 1 if year.isdecimal() else 2100}-01-01"


def _other_data(value: Json, given: list[Json], fact: Reading) -> Iterator[Json]:
    if isinstance(value, list):
        without = [item for item in value if not any(_same(item, one) for one in given)]
        if len(without) < len(value):
            yield without
        yield from ([*value, one] for one in given if isinstance(one, str) and one not in value)
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float | str):
        for other in (*given, *fact.constants):
            if _fits(value, other) and not _same(other, value):
                yield other


def _told(edit: Edit, answer: JsonObject) -> JsonObject:
    first, *others = edit
    codes: list[Json] = [
        as_object(reason).get("code")
        for reason in as_list(answer.get("reasons"))
        if as_object(reason).get("mode", "enforce") == "enforce"
    ]
    return {
        **first.told(),
        "effect": answer.get("effect"),
        "codes": codes,
        "also": [change.told() for change in others],
    }


def decision_of(raw: Json) -> JsonObject:
    """What an entry point says as a decision: a bare truth value is a first policy's."""
    if isinstance(raw, dict) and raw:
        return raw
    return {"effect": "allow" if raw is True else "deny", "reasons": []}


# --- values ---------------------------------------------------------------------------------


def _rank(pointer: str) -> int:
    """0 what the caller says, 1 facts about it, 2 where and when, 3 what kind of action it is."""
    if pointer.startswith(_ARGUMENTS):
        return 0
    if is_kind_of_action(pointer):
        return 3
    return 2 if pointer.startswith("/context") else 1


def is_kind_of_action(pointer: str) -> bool:
    """Whether a place of the input says what is asked for, rather than a fact about it."""
    return any(pointer == kind or pointer.startswith(f"{kind}/") for kind in _KINDS_OF_ACTION)


def _made_up(value: Json, known: list[Json], *, argument: bool) -> Iterator[Json]:
    """Values nobody named: the other truth, the next number, a fresh text for an argument."""
    for number in known:
        if isinstance(number, int | float) and not isinstance(number, bool):
            yield from (number + 1, number - 1)
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (0, value + 1)
    elif isinstance(value, str) and argument:
        yield from (text for text in _fresh(value) if text not in known)
    elif value is None:
        yield from (True, False, 1, *(("1",) if argument else ()))


def _fresh(value: str) -> Iterator[str]:
    if value.isascii() and value.isdigit() and len(value) < 16:
        yield from (str(int(value) + step).zfill(len(value)) for step in (1, 2, 3, 10))
    else:
        yield f"{value}-2"


def _fits(value: Json, other: Json) -> bool:
    """Whether `other` may stand where `value` stands; anything may stand where nothing is."""
    if value is None:
        return other is not None
    if isinstance(value, bool) or isinstance(other, bool):
        return isinstance(value, bool) and isinstance(other, bool)
    if isinstance(value, int | float):
        return isinstance(other, int | float)
    return isinstance(value, str) and isinstance(other, str)


def _same(left: Json, right: Json) -> bool:
    return isinstance(left, bool) is isinstance(right, bool) and left == right


def _links(data: JsonObject, query: JsonObject) -> Iterator[tuple[str, str]]:
    """Facts of the input, and where policy's data gives them."""
    agent = str(get(query, "/subject/id"))
    entry = get(data, pointer_of(("outrider", "agents", agent)))
    if isinstance(entry, dict):
        base = pointer_of(("outrider", "agents", agent))
        for key in _SUBJECT_FACTS:
            if key in entry:
                yield f"/subject/properties/{key}", f"{base}/{key}"
        if get(query, "/context/task/standing") is True and "grant" in entry:
            yield "/context/task/grant", f"{base}/grant"
    upstream = str(get(query, "/resource/properties/upstream"))
    name = str(get(query, "/resource/id")).removeprefix(f"{upstream}/")
    for kind in ("tools", "operations"):
        place = pointer_of(("outrider", "manifest", upstream, kind, name))
        if isinstance(get(data, place), dict):
            for key in ("effect", "reversible", "impact"):
                yield f"/action/properties/{key}", f"{place}/{key}"
            yield "/resource/properties/sensitivity", f"{place}/sensitivity"


# --- pointers -------------------------------------------------------------------------------


def pointer_of(path: Iterable[str]) -> str:
    """The JSON Pointer (RFC 6901) of a path of names."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


def get(document: Json, pointer: str) -> Json:
    """The value at `pointer`; None where there is none."""
    here = document
    for part in _parts(pointer):
        if isinstance(here, list):
            here = here[int(part)] if part.isdigit() and int(part) < len(here) else None
        else:
            here = as_object(here).get(part)
    return here


def put(document: JsonObject, pointer: str, value: Json) -> None:
    """Set the value at `pointer`; objects missing on the way are made."""
    *way, last = _parts(pointer)
    here: Json = document
    for part in way:
        if isinstance(here, list):
            here = here[int(part)]
            continue
        holder = as_object(here)
        inner = holder.get(part)
        if not isinstance(inner, dict | list):
            inner = holder[part] = {}
        here = inner
    if isinstance(here, list):
        here[int(last)] = value
    elif isinstance(here, dict):
        here[last] = value


def _parts(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _leaves(query: JsonObject, path: tuple[str, ...]) -> list[tuple[str, Json]]:
    """The leaf at `path`, or those below it; one that is not there stands as None."""
    start = pointer_of(path)
    found: list[tuple[str, Json]] = []
    stack: list[tuple[str, Json]] = [(start, get(query, start))]
    while stack and len(found) < _LEAVES:
        pointer, value = stack.pop()
        below: Mapping[str, Json] | None = None
        if isinstance(value, dict):
            below = value
        elif isinstance(value, list):
            below = {str(place): item for place, item in enumerate(value)}
        if below is None:
            found.append((pointer, value))
        else:
            stack += [(pointer + pointer_of((name,)), item) for name, item in below.items()]
    return found
