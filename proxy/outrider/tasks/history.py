"""What a class of agents did for a principal beyond one task, and what one agent's identity did.

Documents by key: `class_key` holds uses, payees, what was created, what people rejected; one of
`seen_keys` holds destinations that were reached (shards, so that each stays small); `agent_key`
from where an identity spoke; `consent_key` which agent saw a consent address. Laws: they change by
plain functions; what is lost or has no room is taken for the worst.
"""

from typing import Final

import orjson

from outrider.core.jsonvalue import Json
from outrider.core.vocabulary import ActionEffect
from outrider.tasks.behaviour.acts import mark
from outrider.tasks.behaviour.document import SATURATED, SEVERAL
from outrider.tasks.behaviour.windows import Window, a_window, add, take_back, total

HOUR_S: Final = 3600
DAY_H: Final = 24
SEEN: Final = 10_000
SHARDS: Final = 4
"""Documents that the destinations of one class and principal are spread over: small enough to be
written often, and few, for a store's rows are bounded."""
SEEN_H: Final = 30 * DAY_H
"""A destination that was not reached for so long is new again."""
USES: Final = 1_000
"""Pairs of tool and effect; the one used longest ago makes room, and counts as new again."""
PAYEES: Final = 256
MADE: Final = 256
MADE_S: Final = 7 * DAY_H * HOUR_S
"""How long it is told when a destination was created; the library's limit is a day."""
REJECTED: Final = 256
REJECTIONS: Final = 8
"""Instants kept of one rejection; the library's limit is two."""
CONSENTS: Final = 256
CONSENT_S: Final = DAY_H * HOUR_S
"""A device code or consent address lives minutes; a day is more than any."""
INSTANCES: Final = 16
REFRESH_S: Final = 10
"""How old the note of an instance may be before it is written again: far less than a minute."""


class History:
    """One document of the kinds above; the parts of the other kinds stay empty."""

    __slots__ = ("consents", "instances", "lost_s", "made", "paid", "rejected", "seen", "uses")

    def __init__(self) -> None:
        self.lost_s = 0
        """Since when it is unknown what was before; 0 where nothing was lost."""
        self.seen: dict[str, int] = {}
        """Destination: hour of its last use, in the order of use."""
        self.uses: dict[str, int] = {}
        self.paid: dict[str, Window] = {}
        """Payee: millionths by the hour."""
        self.made: dict[str, int] = {}
        self.rejected: dict[str, list[int]] = {}
        self.consents: dict[str, list[int | str]] = {}
        """Address: second, the agent that saw it or `SEVERAL`."""
        self.instances: dict[str, int] = {}


class HistoryCodec:
    """`tasks.ledger.Codec` of `History`."""

    def decode(self, data: bytes | None, now_unix_s: float) -> History:
        """The document; one whose past is unknown where it cannot be read."""
        history = History()
        if data is None or _read(data, history):
            return history
        history = History()
        history.lost_s = int(now_unix_s)
        return history

    def encode(self, history: History) -> bytes:
        return orjson.dumps({name: getattr(history, name) for name in History.__slots__})


def _read(data: bytes, history: History) -> bool:
    try:
        value: Json = orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    if not isinstance(value, dict) or not value.keys() >= set(History.__slots__):
        return False
    for name in History.__slots__:
        if type(value[name]) is not type(getattr(history, name)):
            return False
        setattr(history, name, value[name])
    return True


# --- keys -----------------------------------------------------------------------------------


def class_key(agent_class: str | None, principal: str | None) -> str:
    """The document of a class of agents and a principal."""
    return "class:" + mark(agent_class or "", principal or "")


def seen_key(whose: str, destination: str) -> str:
    """The shard of `whose` (a `class_key`) that a destination's mark lies in."""
    return f"{whose}:{int(destination[0], 16) % SHARDS}"


def agent_key(agent: str) -> str:
    return "agent:" + mark(agent)


def consent_key(principal: str | None) -> str:
    return "consent:" + mark(principal or "")


# --- destinations that were reached ---------------------------------------------------------


def was_seen(history: History, destination: str, hour: int) -> bool:
    """Whether it was reached within 30 days."""
    return history.seen.get(destination, -SEEN_H) > hour - SEEN_H


def needs_seeing(history: History, destination: str, hour: int) -> bool:
    """Whether `see` would say anything new: once a day is enough for 30."""
    return history.seen.get(destination, -SEEN_H) <= hour - DAY_H


def see(history: History, destination: str, hour: int) -> None:
    """It was reached; the one reached longest ago makes room."""
    history.seen.pop(destination, None)
    history.seen[destination] = hour
    if len(history.seen) > SEEN // SHARDS:
        del history.seen[next(iter(history.seen))]


# --- tools that were used -------------------------------------------------------------------


def use_of(resource: str, effect: ActionEffect) -> str:
    return mark(resource, effect)


def needs_using(history: History, use: str, hour: int) -> bool:
    return history.uses.get(use, 0) <= hour - DAY_H


def used(history: History, use: str, hour: int) -> None:
    """An action of this tool and effect was carried out."""
    history.uses.pop(use, None)
    history.uses[use] = hour
    if len(history.uses) > USES:
        del history.uses[next(iter(history.uses))]


# --- payments -------------------------------------------------------------------------------


def pay(history: History, payees: list[str], micros: int | None, second: int) -> int:
    """Count a payment of so many millionths in; the most that went to one of its payees in 24 h.

    An amount that cannot be read, a payee without room and a past that is lost are over any limit.
    """
    if micros is None or _lately_lost(history, second):
        return SATURATED
    hour, most = second // HOUR_S, 0
    for payee in payees:
        if payee not in history.paid and not _room(history, hour):
            return SATURATED
        window = history.paid.setdefault(payee, a_window())
        room = max(0, SATURATED - total(window, hour, DAY_H + 1))
        most = max(most, add(window, hour, DAY_H + 1, min(micros, room)))
    return most


def _room(history: History, hour: int) -> bool:
    """Whether one more payee can be kept, once those of the past are gone."""
    if len(history.paid) < PAYEES:
        return True
    old = [one for one, window in history.paid.items() if not total(window, hour, DAY_H + 1)]
    for payee in old:
        del history.paid[payee]
    return len(history.paid) < PAYEES


def unpay(history: History, payees: list[str], micros: int | None, second: int) -> None:
    """The payment was not made."""
    for payee in payees:
        if micros is not None and payee in history.paid:
            take_back(history.paid[payee], second // HOUR_S, micros)


# --- what was created, rejected, seen by whom ------------------------------------------------


def make(history: History, names: list[str], second: int) -> None:
    """The agent created these destinations; what it created longest ago makes room."""
    for name in names:
        history.made.setdefault(name, second)
        if len(history.made) > MADE:
            oldest = min(history.made, key=history.made.__getitem__)
            del history.made[oldest]


def age_of(history: History, names: list[str], second: int) -> int | None:
    """How long ago the youngest of these was created; None where none was."""
    if names and _lately_lost(history, second):
        return 0
    found = [second - history.made[name] for name in names if name in history.made]
    return max(0, min(found)) if found and min(found) < MADE_S else None


def reject(history: History, aim: str, second: int) -> None:
    """A person rejected what `aim` stands for."""
    kept = history.rejected.pop(aim, [])
    history.rejected[aim] = [*kept, second][-REJECTIONS:]
    if len(history.rejected) > REJECTED:
        del history.rejected[next(iter(history.rejected))]


def rejections(history: History, aim: str | None, second: int) -> int:
    """How often that was within an hour."""
    if aim is None:
        return 0
    if history.lost_s > second - HOUR_S:
        return REJECTIONS
    return sum(at > second - HOUR_S for at in history.rejected.get(aim, ()))


def consent_seen(history: History, addresses: list[str], agent: str, second: int) -> None:
    """An answer showed these consent addresses to `agent`."""
    for address in addresses:
        known = history.consents.pop(address, None)
        whose = agent if known is None or known[1] == agent else SEVERAL
        history.consents[address] = [second, whose]
        if len(history.consents) > CONSENTS:
            del history.consents[next(iter(history.consents))]


def others_consent(history: History, addresses: list[str], agent: str, second: int) -> bool:
    """Whether another agent than this was shown one of these addresses."""
    for address in addresses:
        known = history.consents.get(address)
        if known is not None and known[1] != agent and int(known[0]) > second - CONSENT_S:
            return True
    return False


def instances(history: History, instance: str, second: int) -> int:
    """From how many places the identity spoke in a minute, `instance` counted in."""
    fresh = {one for one, at in history.instances.items() if at > second - 60}
    return len(fresh | {instance})


def needs_meeting(history: History, instance: str, second: int) -> bool:
    return history.instances.get(instance, 0) <= second - REFRESH_S


def meet(history: History, instance: str, second: int) -> int:
    """The identity spoke from `instance`; from how many places it did in a minute."""
    history.instances[instance] = second
    for one in [one for one, at in history.instances.items() if at <= second - 60]:
        del history.instances[one]
    if len(history.instances) > INSTANCES:
        del history.instances[min(history.instances, key=history.instances.__getitem__)]
    return len(history.instances)


def _lately_lost(history: History, second: int) -> bool:
    return history.lost_s > second - DAY_H * HOUR_S
