"""How the document of a root task changes: by what an answer says, and by how an action ended.

Laws: all are plain functions of document and arguments; a flag that was set stays set until the
period turns.
"""

from typing import Final

from outrider.core.vocabulary import ActionEffect, EffectClass, OutcomeStatus, Sensitivity
from outrider.tasks.behaviour import objects
from outrider.tasks.behaviour.acts import Act
from outrider.tasks.behaviour.counting import Counted, give_back, mark_event
from outrider.tasks.behaviour.document import (
    EXTERNAL,
    OBJECTS,
    RING,
    SENSITIVE,
    SUBJECTS,
    UNTRUSTED,
    WIDTH,
    TaskDocument,
)
from outrider.tasks.behaviour.summary import RANKED
from outrider.tasks.provenance.answers import Learnt


def learn(
    document: TaskDocument, act: Act, number: int, learnt: Learnt, *, size: int, raised: int
) -> int:
    """Take in what part of an answer said; the flags it set for the first time.

    `size` is its bytes, `raised` the rank policy obliged it to have at least, -1 for none. Answers
    to plumbing teach like any: they may carry what a call is still owed.
    """
    document.bytes_in += size
    if act.kind is EffectClass.READ:
        document.records += learnt.records
    _keep(document.subjects, learnt.subjects, SUBJECTS)
    if learnt.listed:
        objects.listing(document, learnt.listed, learnt.records)
    rank = max(raised, _rank(act.reading), _rank(learnt.sensitivity))
    document.highest = max(document.highest, rank)
    _label_event(document, number, learnt, rank)
    before = document.flags
    if learnt.untrusted:
        document.flags |= UNTRUSTED
    if rank >= Sensitivity.CONFIDENTIAL.rank:
        document.flags |= SENSITIVE
    if act.counted and act.outward:
        document.flags |= EXTERNAL
    return document.flags & ~before


def _rank(sensitivity: Sensitivity | None) -> int:
    return -1 if sensitivity is None else sensitivity.rank


def _label_event(document: TaskDocument, number: int, learnt: Learnt, rank: int) -> None:
    for event in reversed(document.ring):
        if event["n"] == number:
            told = event["told"]
            known = told["labels"]
            if isinstance(known, list):
                told["labels"] = [*known, *[one for one in learnt.labels if one not in known]]
            if rank > RANKED.index(str(told["sensitivity"])):
                told["sensitivity"] = RANKED[rank]
            return


def _keep(kept: dict[str, int], found: tuple[str, ...], most: int) -> None:
    for one in found:
        if len(kept) >= most:
            return
        kept[one[:WIDTH]] = 1


def finish(
    document: TaskDocument, acts: list[Act], counted: Counted, status: OutcomeStatus, more: int
) -> int:
    """How it ended; `more` bytes came that no answer told of. The flags set for the first time."""
    if status is OutcomeStatus.REFUSED or status is OutcomeStatus.CANCELLED:
        give_back(document, acts, counted)
    before = document.flags
    if counted.period == document.period:
        document.bytes_in += max(0, more)
    reached = status in (OutcomeStatus.EXECUTED, OutcomeStatus.UNKNOWN)
    for act, number in zip(acts, counted.events, strict=True):
        if not number:
            continue
        mark_event(document, number, _WORDS[status])
        if reached and act.outward:
            document.flags |= EXTERNAL
        if reached and act.effect is ActionEffect.READ:
            _keep(document.objects, tuple(act.objects), OBJECTS)
    return document.flags & ~before


def taint(document: TaskDocument) -> int:
    """Something untrusted was read; the flags set for the first time."""
    fresh = UNTRUSTED & ~document.flags
    document.flags |= UNTRUSTED
    return fresh


def hear(document: TaskDocument, ms: int) -> int:
    """Something came in for the agent from others; the flags set for the first time."""
    document.events += 1
    document.ring.append(
        {
            "n": document.events,
            "ms": ms,
            "token": "",
            "reserved": False,
            "told": {
                "id": f"evt_{document.events}",
                "resource": "ingress",
                "effect": "read",
                "sensitivity": "internal",
                "destination": None,
                "labels": ["untrusted"],
                "outcome": "ok",
            },
        }
    )
    del document.ring[:-RING]
    return taint(document)


_WORDS: Final = {
    OutcomeStatus.EXECUTED: "ok",
    OutcomeStatus.FAILED: "failed",
    OutcomeStatus.REFUSED: "refused",
    OutcomeStatus.CANCELLED: "cancelled",
    OutcomeStatus.UNKNOWN: "unknown",
}
