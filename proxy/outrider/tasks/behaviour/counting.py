"""How the document of a root task changes: by an action, and by its refusal.

Laws: all are plain functions of document and arguments, so that they can be made again on another
copy; an action is counted in before it is judged; a refusal takes back what it counted, but not
that it was tried.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from outrider.core.jsonvalue import JsonObject
from outrider.core.vocabulary import Effect
from outrider.tasks.behaviour import beats, objects
from outrider.tasks.behaviour.acts import GUARD, Act, mark, place_of
from outrider.tasks.behaviour.document import (
    DENIED_AIMS,
    DENIED_TOOLS,
    HOSTS,
    PATTERNS,
    REPEATED_LEAKS,
    RING,
    SECRET_PLACES,
    SECRETS,
    SEVERAL,
    TaskDocument,
)
from outrider.tasks.behaviour.summary import Before, summary
from outrider.tasks.behaviour.windows import add, take_back

MINUTE_S: Final = 60
DENIALS_S: Final = 300
_RESOURCE_CHARS: Final = 128
_PLACE_CHARS: Final = 12
REPEATED_LEAK: Final = "SQ-01"
"""The code of a denial that policy counts for itself (`signals.secret_denials`)."""


@dataclass(slots=True, kw_only=True)
class Counted:
    """What counting some actions in did to the document, so that it can be taken back."""

    ms: int
    period: int
    events: list[int] = field(default_factory=list)
    """The number of each action's event, 0 of one that is not counted."""
    behaviours: list[JsonObject] = field(default_factory=list)


def settle_period(document: TaskDocument, period: int) -> None:
    """Begin a new period where one is due. Clocks that differ never bring an old one back."""
    if document.period <= 1:  # nothing yet, or no periods so far
        document.period = max(period, document.period)
    elif period > document.period:
        document.turn(period)


def count_in(
    document: TaskDocument, acts: list[Act], signals: list[JsonObject], ms: int, token: str
) -> Counted:
    """Count `acts` in, and tell what policy is told of each with all of them counted.

    `signals` are those told from elsewhere, one object for each act.
    """
    counted = Counted(ms=ms, period=document.period)
    before = Before(document, ms)
    for act in acts:
        counted.events.append(_count(document, act, ms, token))
    for act, known in zip(acts, signals, strict=True):
        counted.behaviours.append(summary(document, before, act, ms, known))
    return counted


def _count(document: TaskDocument, act: Act, ms: int, token: str) -> int:
    second = ms // 1000
    add(document.calls, second, MINUTE_S)
    if not act.counted:
        return 0
    document.events += 1
    _total(document, act.effect.value, 1)
    hosts = document.hosts
    for host in act.hosts:
        known = hosts.get(host)
        if known is not None:
            known[0] += act.sent
            known[1] += 1
        elif len(hosts) < HOSTS:
            hosts[host] = [act.sent, 1]
    _remember_pattern(document, act.pattern, second)
    if act.external:
        beats.count(document, act, ms)
    if act.deletes:
        add(document.deletes, second, MINUTE_S, act.deletes)
        objects.count(document, act)
    for tag in act.tags:
        kept = document.tags.setdefault(tag, [ms, 0])
        kept[0] = max(kept[0], ms)
        kept[1] += 1
    if act.secrets:
        _carry(document, act)
    document.ring.append(
        {
            "n": document.events,
            "ms": ms,
            "token": token,
            "reserved": False,
            "told": {
                "id": f"evt_{document.events}",
                "resource": _shown(act.resource),
                "effect": act.effect,
                "sensitivity": act.sensitivity,
                "destination": None if act.host is None else _shown(act.host),
                "labels": [],
                "outcome": "pending",
            },
        }
    )
    if len(document.ring) > RING:
        del document.ring[0]
    return document.events


def _shown(text: str) -> str:
    """A name as events keep it: one of bounded size and of plain characters."""
    plain = len(text) <= _RESOURCE_CHARS and text.isascii() and text.isprintable()
    return text if plain else mark(text)


def _remember_pattern(document: TaskDocument, pattern: str, second: int) -> None:
    acts, stamps, tally = document.acts, document.stamps, document.tally
    acts.append(pattern)
    stamps.append(max(second, stamps[-1]) if stamps else second)
    tally[pattern] = tally.get(pattern, 0) + 1
    oldest = stamps[-1] - MINUTE_S
    gone = max(0, len(acts) - PATTERNS)
    while stamps[gone] <= oldest:
        gone += 1
    for old in acts[:gone]:
        _untally(document, old)
    if gone:
        del acts[:gone], stamps[:gone]


def _untally(document: TaskDocument, pattern: str) -> None:
    document.tally[pattern] -= 1
    if not document.tally[pattern]:
        del document.tally[pattern]


def _carry(document: TaskDocument, act: Act) -> None:
    place = secret_place(act)
    for secret in act.secrets:
        if secret not in document.secrets and len(document.secrets) >= SECRETS:
            continue
        places = document.secrets.setdefault(secret, {})
        if place in places or len(places) < SECRET_PLACES:
            places[place] = places.get(place, 0) + 1


def secret_place(act: Act) -> str:
    """Where a secret goes by this act: the tool, and its destinations."""
    places = [place_of(destination) or "" for destination in act.action.destinations]
    return mark(act.resource, *places)[:_PLACE_CHARS]


# --- refused --------------------------------------------------------------------------------


def give_back(document: TaskDocument, acts: list[Act], counted: Counted) -> None:
    """Undo what `count_in` counted, as far as it is still there; repeats stay counted."""
    if counted.period != document.period:
        return
    second = counted.ms // 1000
    for act, number in zip(acts, counted.events, strict=True):
        take_back(document.calls, second)
        if number:
            _uncount(document, act, counted.ms)


def _total(document: TaskDocument, what: str, more: int) -> None:
    document.totals[what] = max(0, document.totals.get(what, 0) + more)


def _uncount(document: TaskDocument, act: Act, ms: int) -> None:
    _total(document, act.effect.value, -1)
    for host in act.hosts:
        known = document.hosts.get(host)
        if known is not None:
            known[0] = max(0, known[0] - act.sent)
            known[1] -= 1
            if known[1] <= 0:
                del document.hosts[host]
    if act.external:
        beats.take_back(document, act, ms)
    if act.deletes:
        take_back(document.deletes, ms // 1000, act.deletes)
        objects.take_back(document, act)
    for tag in act.tags:
        _untag(document, tag)
    for secret in act.secrets:
        _uncarry(document, secret, secret_place(act))


def _untag(document: TaskDocument, tag: str) -> None:
    kept = document.tags.get(tag)
    if kept is not None:
        kept[1] -= 1
        if kept[1] <= 0:
            del document.tags[tag]


def _uncarry(document: TaskDocument, secret: str, place: str) -> None:
    places = document.secrets.get(secret, {})
    if place in places:
        places[place] -= 1
        if places[place] <= 0:
            del places[place]
        if not places:
            del document.secrets[secret]


def refuse(
    document: TaskDocument,
    acts: list[Act],
    counted: Counted,
    effect: Effect,
    *,
    judged: bool,
    codes: Collection[str] = (),
) -> None:
    """Give back what was counted and count the denial, one for the exchange; `judged` where it was
    one of the action, not a fault of ours, and `codes` say what it was for. What is held is asked
    again by whoever waits for it: that is no repeat."""
    give_back(document, acts, counted)
    if counted.period != document.period:
        return
    denied = effect is Effect.DENY
    if any(counted.events):
        _total(document, "denied" if denied else "held", 1)
    if denied and judged and any(counted.events):
        add(document.denials, counted.ms // 1000, DENIALS_S)
    if denied and REPEATED_LEAK in codes:
        _total(document, REPEATED_LEAKS, 1)
    for act, number in zip(acts, counted.events, strict=True):
        if not number:
            continue
        mark_event(document, number, "denied" if denied else "held")
        if not denied:
            _forget_pattern(document, act.pattern)
        elif judged:
            _deny(document, act, counted.ms)


def _forget_pattern(document: TaskDocument, pattern: str) -> None:
    for place in range(len(document.acts) - 1, -1, -1):
        if document.acts[place] == pattern:
            del document.acts[place], document.stamps[place]
            _untally(document, pattern)
            return


def _deny(document: TaskDocument, act: Act, ms: int) -> None:
    tool = mark(act.resource)
    denied = document.denied
    denied[tool] = ms // 1000
    if len(denied) > DENIED_TOOLS:
        del denied[min(denied, key=denied.__getitem__)]
    if GUARD in act.tags:
        # That a guard was to be changed counts, whatever came of it (SQ-14).
        kept = document.tags.setdefault(GUARD, [ms, 0])
        kept[1] += 1
    if act.aim is None:
        return
    known = document.aims.get(act.aim)
    if known is None and len(document.aims) >= DENIED_AIMS:
        document.aims[SEVERAL] = SEVERAL
    else:
        document.aims[act.aim] = tool if known in (None, tool) else SEVERAL


def undo(document: TaskDocument, acts: list[Act], token: str) -> None:
    """Give back what was counted under `token`, where it was: nobody waited to hear of it."""
    mine = [event for event in document.ring if event["token"] == token]
    if not mine:
        return
    numbers = iter([event["n"] for event in mine])
    events = [next(numbers, 0) if act.counted else 0 for act in acts]
    counted = Counted(ms=mine[0]["ms"], period=document.period, events=events)
    refuse(document, acts, counted, Effect.HOLD, judged=False)
    for event in mine:
        event["token"] = ""


def mark_reserved(document: TaskDocument, counted: Counted, *, reserved: bool) -> bool:
    """Note on its events that budgets are reserved for an exchange, or no more; whether that
    changed anything."""
    numbers = {number for number in counted.events if number}
    changed = False
    if counted.period == document.period:
        for event in document.ring:
            if event["n"] in numbers and event["reserved"] is not reserved:
                event["reserved"], changed = reserved, True
    return changed


def mark_event(document: TaskDocument, number: int, word: str) -> None:
    for event in reversed(document.ring):
        if event["n"] == number:
            event["told"]["outcome"] = word
            return
