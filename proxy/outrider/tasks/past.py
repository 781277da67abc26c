"""What is known of an action beyond its task, asked of the history's documents (GOVERNANCE §5)."""

import re
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final

from outrider.core.action import Action, Destination
from outrider.core.budget import MICRO
from outrider.core.catalogue import ToolEntry
from outrider.core.facts import Answered, Opening
from outrider.core.jsonvalue import JsonObject
from outrider.core.vocabulary import ActionEffect, Role
from outrider.tasks import history
from outrider.tasks.behaviour.acts import Act, amount_of, mark, place_of, plain, spelt_of, values_of
from outrider.tasks.behaviour.document import SATURATED
from outrider.tasks.history import History
from outrider.tasks.ledger import Ledger
from outrider.tasks.provenance.addresses import email_of
from outrider.tasks.provenance.forms import compact_of

CONSENT: Final = "consent"
_PLACES: Final = frozenset({"email", "url", "iban", "phone"})
"""Types of targets that are destinations once they exist."""
_URL: Final = re.compile(rb"https?://[^\s\"'<>\\]+", re.IGNORECASE)
_MOST_URLS: Final = 32
_MOST_MADE: Final = 64
_PLACE_CHARS: Final = 2048
_NOWHERE: Final[frozenset[int]] = frozenset()

_kept_mark: Final = lru_cache(maxsize=4096)(mark)


@dataclass(slots=True, kw_only=True)
class Told:
    """What the past says of one action, and what is to be undone or noted when it ends."""

    signals: JsonObject
    first_seen: frozenset[int] = _NOWHERE
    micros: int | None = 0
    payees: list[str] | None = None
    use: str = ""
    news: tuple[str, ...] = ()
    """Marks of the destinations that were not reached today."""


NOTHING_TOLD: Final[JsonObject] = {
    "amount_target_24h": None,
    "consent_other_agent": False,
    "first_use": False,
    "instances_60s": 0,
    "rejected_same_3600s": 0,
    "target_age_s": None,
}


class Past:
    """What one exchange asks of the history and teaches it; one for each page.

    With `blind` nothing is counted and what is last known is told, for the store is gone. `sole`
    says that only we write the history.
    """

    def __init__(
        self,
        ledger: Ledger[History],
        opening: Opening,
        unix_s: float,
        *,
        blind: bool = False,
        sole: bool = False,
    ) -> None:
        task = opening.task
        self._ledger = ledger
        self._agent = opening.subject.id
        self._instance = opening.subject.instance
        self._principal = task.principal if task is not None else None
        self._whose = _class_key(opening.agent_class, self._principal)
        self._second = int(unix_s)
        self._hour = self._second // history.HOUR_S
        self._blind = blind
        self._sole = sole and not blind

    async def _look(self, key: str) -> History:
        if self._blind:
            known = self._ledger.known(key)
            return _unknown(self._second) if known is None else known
        return await self._ledger.look(key)

    def _here(self, key: str) -> History | None:
        """The document where it is in memory and nobody else writes it: then it is in force."""
        return self._ledger.known(key) if self._sole else None

    async def tell(self, act: Act) -> Told:
        """What it says of `act`; a payment is counted in."""
        if not act.counted:
            return Told(signals=NOTHING_TOLD)
        known = self._here(self._whose) or await self._look(self._whose)
        use = _use_of(act.resource, act.effect)
        signals: JsonObject = {
            "amount_target_24h": None,
            "consent_other_agent": act.urls and await self._others_consent(act),
            "first_use": use not in known.uses,
            "instances_60s": await self._instances(),
            "rejected_same_3600s": 0,
            "target_age_s": None,
        }
        if known.rejected or known.lost_s:
            aim = stable_aim(act.action)
            signals["rejected_same_3600s"] = history.rejections(known, aim, self._second)
        if known.made or known.lost_s:
            names = [one for place in act.action.destinations for one in marks_of(place)]
            signals["target_age_s"] = history.age_of(known, names, self._second)
        told = Told(signals=signals, use=use)
        await self._first_seen(act.action, told)
        if act.effect is ActionEffect.PAY:
            await self._pay(act.action, told)
        return told

    async def _first_seen(self, action: Action, told: Told) -> None:
        for place, destination in enumerate(action.destinations):
            found = seen_mark(destination)
            if found is None:
                told.first_seen |= {place}
                continue
            key = history.seen_key(self._whose, found)
            shard = self._ledger.known(key)
            if shard is None or not history.was_seen(shard, found, self._hour):
                shard = self._here(key) or await self._look(key)  # what was seen stays seen
            if history.needs_seeing(shard, found, self._hour):
                told.news = (*told.news, found)
                if not history.was_seen(shard, found, self._hour):
                    told.first_seen |= {place}

    async def _instances(self) -> int:
        """0 where nobody says from where."""
        if self._instance is None:
            return 0
        key, instance = _agent_key(self._agent), _kept_mark(self._instance)
        known = self._ledger.known(key) or await self._look(key)
        if not self._blind and history.needs_meeting(known, instance, self._second):
            # In between others are known as of then: far less than the minute that counts.
            meet = partial(history.meet, instance=instance, second=self._second)
            return await self._ledger.change(key, meet)
        return history.instances(known, instance, self._second)

    async def _others_consent(self, act: Act) -> bool:
        key = history.consent_key(self._principal)
        known = await self._look(key)
        if not known.consents:
            return bool(known.lost_s > self._second - history.CONSENT_S)
        agent = _kept_mark(self._agent)
        addresses = _addresses(spelt_of(act.action.ask.arguments))
        return history.others_consent(known, addresses, agent, self._second)

    async def _pay(self, action: Action, told: Told) -> None:
        told.micros, told.payees = amount_of(action), payees_of(action)
        if self._blind:
            micros = SATURATED
        else:
            pay = partial(history.pay, payees=told.payees, micros=told.micros, second=self._second)
            micros = await self._ledger.change(self._whose, pay)
        told.signals["amount_target_24h"] = micros / MICRO

    # --- what is noted ------------------------------------------------------------------

    def unpay(self, told: Told) -> None:
        """The payment was not made."""
        if told.payees and told.micros:
            unpay = partial(
                history.unpay, payees=told.payees, micros=told.micros, second=self._second
            )
            self._ledger.change_later(self._whose, unpay)

    def reached(self, act: Act, told: Told, entry: ToolEntry, *, failed: bool = False) -> None:
        """The action was carried out; one that `failed` by its answer created nothing."""
        if not act.counted:
            return
        known = self._ledger.known(self._whose)
        if known is None or history.needs_using(known, told.use, self._hour):
            used = partial(history.used, use=told.use, hour=self._hour)
            self._ledger.change_later(self._whose, used)
        for found in told.news:
            see = partial(history.see, destination=found, hour=self._hour)
            self._ledger.change_later(history.seen_key(self._whose, found), see)
        if act.effect is ActionEffect.WRITE and not failed:
            self.made(_made_by(act.action, entry))

    async def rejected(self, aim: str) -> None:
        """A person rejected what `aim` stands for."""
        change = partial(history.reject, aim=aim, second=self._second)
        await self._ledger.change(self._whose, change)

    def made(self, names: list[str]) -> None:
        """It created these."""
        if names:
            marks = [mark(plain(name)) for name in names]
            make = partial(history.make, names=marks, second=self._second)
            self._ledger.change_later(self._whose, make)

    async def consents(self, act: Act, answered: Answered) -> None:
        """Note the addresses of an answer by which somebody is to consent."""
        if CONSENT not in act.tags:
            return
        text = spelt_of([answered.value, *answered.texts])
        addresses = _addresses(text)
        if addresses and not self._blind:
            await self._ledger.change(
                history.consent_key(self._principal),
                partial(
                    history.consent_seen,
                    addresses=addresses,
                    agent=_kept_mark(self._agent),
                    second=self._second,
                ),
            )


def _unknown(second: int) -> History:
    lost = History()
    lost.lost_s = second
    return lost


_use_of: Final = lru_cache(maxsize=1024)(history.use_of)
_class_key: Final = lru_cache(maxsize=256)(history.class_key)
_agent_key: Final = lru_cache(maxsize=256)(history.agent_key)


def seen_mark(destination: Destination) -> str | None:
    """What a destination is remembered by; None where it cannot be read."""
    place = place_of(destination)
    return None if place is None else _kept_mark(place)


def marks_of(destination: Destination) -> list[str]:
    """What a destination may have been created as."""
    value = destination.value
    return [] if value is None else [mark(plain(value))]


def payees_of(action: Action) -> list[str]:
    """Whom an action pays: its destinations, else its targets, else the tool's own payee."""
    for role in (Role.DESTINATION, Role.TARGET):
        found = [mark(plain(str(value))) for value in values_of(action, role)]
        if found:
            return found
    return [mark(action.resource_id)]


def stable_aim(action: Action) -> str | None:
    """What an action aims at by effect, destinations and targets, the same in every task."""
    values = [*values_of(action, Role.DESTINATION), *values_of(action, Role.TARGET)]
    if not values:
        return None
    return mark(action.effect, *sorted(plain(str(value)) for value in values))


def _made_by(action: Action, entry: ToolEntry) -> list[str]:
    """The destinations that a write creates: its targets of a type that can be reached, and those
    whose type nobody said that look like one."""
    typed = any(one.role is Role.TARGET and one.type in _PLACES for one in entry.arguments)
    targets = [value for value in values_of(action, Role.TARGET) if isinstance(value, str)]
    return [value for value in targets if typed or _is_place(value)][:_MOST_MADE]


def _is_place(text: str) -> bool:
    """Whether `text` can be reached: a mail address, a link, an account or telephone number."""
    if not 0 < len(text) <= _PLACE_CHARS:
        return False
    return email_of(text) is not None or "://" in text or compact_of(text) is not None


def _addresses(text: bytes) -> list[str]:
    found: list[str] = []
    for match in _URL.finditer(text):
        found.append(mark(match[0].decode("utf-8", "replace").rstrip(".,;:)]}/")))
        if len(found) == _MOST_URLS:
            break
    return found
