"""What policy is told of a root task: `context.behaviour` (CONTRACTS §1)."""

from typing import Final

from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.vocabulary import Sensitivity
from outrider.tasks.behaviour import beats, objects
from outrider.tasks.behaviour.acts import Act, mark
from outrider.tasks.behaviour.document import (
    DENIED_TOOLS,
    EXTERNAL,
    HOSTS,
    PATTERNS,
    REPEATED_LEAKS,
    SATURATED,
    SECRET_PLACES,
    SECRETS,
    SENSITIVE,
    SEVERAL,
    SUBJECTS,
    UNTRUSTED,
    TaskDocument,
)
from outrider.tasks.behaviour.windows import total

RECENT: Final = 8
HOSTS_TOLD: Final = 16
"""Hosts told with what was sent there, beside the action's own: those that got most."""
TURNS: Final = 64
"""Calls that are looked back on for two that take turns."""
_MINUTE_S: Final = 60
_DENIALS_S: Final = 300
RANKED: Final = tuple(member.value for member in Sensitivity)


class Before:
    """What is told of the time before the present actions; the same for all of them."""

    __slots__ = ("recent", "tags")

    def __init__(self, document: TaskDocument, ms: int) -> None:
        self.recent: Json = [
            {**event["told"], "age_s": (ms - event["ms"]) / 1000 if ms > event["ms"] else 0}
            for event in document.ring[: -RECENT - 1 : -1]
        ]
        self.tags: Json = {
            tag: {"age_s": max(0, ms - kept[0]) / 1000, "count": kept[1]}
            for tag, kept in document.tags.items()
        }


def summary(
    document: TaskDocument, before: Before, act: Act | None, ms: int, signals: JsonObject
) -> JsonObject:
    """What is told of `act`, which is counted in; None tells of the task alone.

    `signals` are those that others tell.
    """
    second = ms // 1000
    flags = document.flags
    subjects = len(document.subjects)
    asked = act if act is not None and act.counted else None
    full = len(document.hosts) >= HOSTS and (
        asked is None or any(host not in document.hosts for host in asked.hosts)
    )
    denied = document.denied
    fresh = sum(at > second - _DENIALS_S for at in denied.values()) if denied else 0
    return {
        "flags": {
            "untrusted_read": flags & UNTRUSTED != 0,
            "sensitive_read": flags & SENSITIVE != 0,
            "external_send": flags & EXTERNAL != 0,
        },
        "highest_sensitivity_read": None if document.highest < 0 else RANKED[document.highest],
        "counters": {
            "calls_60s": total(document.calls, second, _MINUTE_S),
            "denials_300s": total(document.denials, second, _DENIALS_S),
            "records_read": document.records,
            "bytes_out": _bytes_out(document, asked),
            "distinct_destinations": SATURATED if full else len(document.hosts),
        },
        "recent": before.recent,
        "repeats": {
            "same_action_60s": 0 if asked is None else _same(document, asked, second),
            "same_target_after_deny": asked is not None and _aimed_again(document, asked),
        },
        "tags": before.tags,
        "signals": {
            "approval_misuse": False,
            "beacon": beats.told(document, asked) if asked is not None and asked.external else None,
            "bytes_read": document.bytes_in,
            "deletes_60s": total(document.deletes, second, _MINUTE_S),
            "denied_tools_300s": SATURATED if fresh >= DENIED_TOOLS else fresh,
            "distinct_subjects": SATURATED if subjects >= SUBJECTS else subjects,
            "listed": objects.told(document, asked) if asked is not None else None,
            "oscillation": 0 if asked is None else _turns(document.acts),
            "secret_denials": document.totals.get(REPEATED_LEAKS, 0),
            "secret_destinations": _secret_places(document, asked) if asked is not None else 0,
            **signals,
        },
    }


def _bytes_out(document: TaskDocument, act: Act | None) -> JsonObject:
    hosts = document.hosts
    if len(hosts) <= HOSTS_TOLD:
        told: JsonObject = {host: kept[0] for host, kept in hosts.items()}
    else:
        most = sorted(hosts, key=lambda host: hosts[host][0], reverse=True)[:HOSTS_TOLD]
        told = {host: hosts[host][0] for host in most}
    if act is not None:
        for place in act.action.destinations:
            if place.host is not None and place.host not in told:
                told[place.host] = _sent_to(document, act, place.host)
    return told


def _sent_to(document: TaskDocument, act: Act, host: str) -> int:
    for kept in act.hosts:
        if kept == host or kept == mark(host):
            known = document.hosts.get(kept)
            return SATURATED if known is None else known[0]
    return SATURATED


def _same(document: TaskDocument, act: Act, second: int) -> int:
    if len(document.acts) >= PATTERNS and document.stamps[0] > second - _MINUTE_S:
        return SATURATED
    return document.tally.get(act.pattern, 0)


def _aimed_again(document: TaskDocument, act: Act) -> bool:
    if act.aim is None or not document.aims:
        return False
    tool = document.aims.get(act.aim)
    if tool is None:
        return SEVERAL in document.aims
    return tool != mark(act.resource)


def _turns(acts: list[str]) -> int:
    """How often the last two took turns, one after the other without anything between."""
    if len(acts) < 2 or acts[-1] == acts[-2]:
        return 0
    run, last = 2, len(acts)
    while run < min(last, TURNS) and acts[last - run - 1] == acts[last - run + 1]:
        run += 1
    return run // 2


def _secret_places(document: TaskDocument, act: Act) -> int:
    most = 0
    for secret in act.secrets:
        places = document.secrets.get(secret)
        if places is None:
            if len(document.secrets) >= SECRETS:
                return SATURATED
        elif len(places) >= SECRET_PLACES:
            return SATURATED
        else:
            most = max(most, len(places))
    return most
