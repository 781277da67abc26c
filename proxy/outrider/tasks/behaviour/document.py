"""The document of a root task: what it and its child tasks did, read, sent and used so far.

It is one JSON object in the store, by the names of `TaskDocument`: add, never repurpose.
Law: however a task behaves, it is at most 64 KiB encoded; a test holds that.
"""

from typing import Final, TypedDict

import orjson

from outrider.core.ids import random_hex
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.vocabulary import Sensitivity
from outrider.tasks.behaviour.windows import Window, a_window

# Each bound is a multiple of the largest limit the library sets on what is counted, and together
# they keep the document's promise.
RING: Final = 16
"""Events that are kept."""
HOSTS: Final = 128
"""Hosts with what was sent to them."""
SUBJECTS: Final = 256
OBJECTS: Final = 256
"""Objects that were read one by one."""
WIDTH: Final = 12
"""Characters kept of a keyed digest, of a subject or an object."""
LISTINGS: Final = 2
LISTED: Final = 256
"""Objects of one listing."""
DENIED_TOOLS: Final = 64
DENIED_AIMS: Final = 48
PATTERNS: Final = 512
"""Calls of the last minute that are told apart."""
PATTERN: Final = 8
"""Characters of what a call is told by."""
SECRETS: Final = 32
SECRET_PLACES: Final = 4
BEACONS: Final = 12
"""External hosts whose small calls are timed."""
BEATS: Final = 12
LINEAGE: Final = 32
"""Tasks of one root that have limits of their own; those that ended make room."""
SATURATED: Final = 2**53 - 1
"""What a full set counts as: over any limit."""

UNTRUSTED, SENSITIVE, EXTERNAL = 1, 2, 4
ALL_FLAGS: Final = UNTRUSTED | SENSITIVE | EXTERNAL
FLAGS: Final = {UNTRUSTED: "untrusted_read", SENSITIVE: "sensitive_read", EXTERNAL: "external_send"}
OVER: Final = "over"
REPEATED_LEAKS: Final = "secret_denials"
SEVERAL: Final = "*"
"""Stands for more than one, where only one is told apart."""


class Listing(TypedDict):
    """How many it held, the digests of the first of them in a row, and by place in that row how
    many calls delete one."""

    count: int
    ids: str
    deleted: dict[str, int]


class Event(TypedDict):
    """One of the ring: `told` is what policy is told of it, its age aside."""

    n: int
    ms: int
    token: str
    reserved: bool
    told: JsonObject
    """Never altered in a place that was given out: a change of its labels is a new list."""


class TaskDocument:
    """What stands in the books of a root task. Mutable, owned by the ledger."""

    __slots__ = (
        "acts", "aims", "beacons", "bytes_in", "calls", "deletes", "denials", "denied", "events",
        "flags", "highest", "hosts", "indexed", "key", "listings", "lost", "objects", "period",
        "records", "ring", "secrets", "stamps", "subjects", "tags", "tally", "totals", "used",
    )  # fmt: skip

    def __init__(self, key: str) -> None:
        self.key = key
        """Secret of the root task, in hexadecimal: what digests within it are keyed with."""
        self.lost = False
        self.events = 0
        self.period = 0
        self.flags = 0
        self.highest = -1
        """Rank of the highest sensitivity read; -1 for nothing."""
        self.records = 0
        self.bytes_in = 0
        self.indexed: str | None = None
        """Which index took in all answers so far: its id, None for no answer, or `SEVERAL`."""
        self.calls: Window = a_window()
        self.denials: Window = a_window()
        self.deletes: Window = a_window()
        self.denied: dict[str, int] = {}
        """Tools that were denied, and in which second last."""
        self.aims: dict[str, str] = {}
        """What was denied (effect, destinations, targets), and the tool, or `SEVERAL`."""
        self.hosts: dict[str, list[int]] = {}
        """Host: bytes sent there, calls."""
        self.subjects: dict[str, int] = {}
        self.objects: dict[str, int] = {}
        self.listings: list[Listing] = []
        self.acts: list[str] = []
        self.stamps: list[int] = []
        """The second of each of `acts`."""
        self.tally: dict[str, int] = {}
        """How often each of `acts` is among them; not stored."""
        self.totals: dict[str, int] = {}
        """Calls by effect, how many exchanges were denied and held, for the task's summary; `over`
        once that was told; and how often it was refused for sending after a secret."""
        self.tags: dict[str, list[int]] = {}
        """Milliseconds of the last, count."""
        self.secrets: dict[str, dict[str, int]] = {}
        """Where each secret was taken, and by how many calls."""
        self.beacons: dict[str, list[int]] = {}
        """Milliseconds of the last small calls to an external host."""
        self.ring: list[Event] = []
        self.used: dict[str, list[int]] = {}
        """Of each task of the lineage with limits, what `tasks.budgets` keeps."""

    @property
    def over(self) -> bool:
        """Whether the root task has ended: nobody asks for its books any more."""
        return bool(self.totals.get(OVER))

    def turn(self, period: int) -> None:
        """Begin a new period: nothing counts any more but the numbers that name events."""
        fresh = TaskDocument(self.key)
        fresh.events, fresh.period = self.events, period
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))

    def make_lost(self) -> None:
        """Take everything for the worst: nobody knows what happened (GOVERNANCE §5)."""
        self.lost = True
        self.flags = ALL_FLAGS
        self.highest = Sensitivity.SECRET.rank
        self.indexed = SEVERAL


_STORED: Final = tuple(name for name in TaskDocument.__slots__ if name != "tally")


class TaskCodec:
    """`tasks.ledger.Codec` of `TaskDocument`."""

    def decode(self, data: bytes | None, now_unix_s: float) -> TaskDocument:
        """The document; one that takes everything for the worst where it cannot be read."""
        document = TaskDocument(random_hex(64))
        if data is None:
            return document
        found = _read(data, document)
        if found is None:
            found = TaskDocument(random_hex(64))
            found.make_lost()
        return found

    def encode(self, document: TaskDocument) -> bytes:
        told = {name: getattr(document, name) for name in _STORED}
        told["acts"] = "".join(document.acts)
        told["stamps"] = [later - document.stamps[0] for later in document.stamps]
        if document.stamps:
            told["stamps"][0] = document.stamps[0]
        return orjson.dumps(told)


def _read(data: bytes, document: TaskDocument) -> TaskDocument | None:
    """`document` with what `data` says, None where it says less or other things."""
    try:
        value: Json = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict) or not value.keys() >= set(_STORED):
        return None
    _unfold(value)
    for name in _STORED:
        found = value[name]
        known = getattr(document, name)
        if type(found) is not type(known) and (name != "indexed" or not isinstance(found, str)):
            return None
        setattr(document, name, found)
    for pattern in document.acts:
        document.tally[pattern] = document.tally.get(pattern, 0) + 1
    sound = len(document.acts) == len(document.stamps)
    sound = sound and 0 <= document.flags <= ALL_FLAGS and -1 <= document.highest < len(Sensitivity)
    return document if sound else None


def _unfold(value: JsonObject) -> None:
    """What is written short: patterns in a row, and their seconds after the first."""
    acts, stamps = value["acts"], value["stamps"]
    if not isinstance(acts, str) or not isinstance(stamps, list):
        return
    later = [one for one in stamps if isinstance(one, int)]
    value["acts"] = [acts[at : at + PATTERN] for at in range(0, len(acts), PATTERN)]
    value["stamps"] = [*later[:1], *[later[0] + one for one in later[1:]]]
