"""Taking an answer in: every leaf to the store that its label names, before it is relayed.

Steps: the generator yields after `STEP_LEAVES` leaves or `STEP_CHARS` characters.
"""

from collections.abc import Generator, Iterator
from typing import Final

from outrider.core.action import Action
from outrider.core.catalogue import ToolEntry
from outrider.core.errors import MalformedError
from outrider.core.facts import Answered
from outrider.core.jsonvalue import Json
from outrider.core.strict_json import RESPONSE_LIMITS, STEPPED_BYTES, read, read_steps
from outrider.core.vocabulary import EffectClass, FieldLabel, Label, Sensitivity
from outrider.tasks.provenance.answers import Learnt
from outrider.tasks.provenance.fields import STEP_CHARS, Leaf, Leaves, Mark, plan_of
from outrider.tasks.provenance.forms import (
    LONGEST_CHARS,
    LONGEST_SHAPED,
    Value,
    fold,
    fold_many,
    pieces,
    value_of,
    written,
)
from outrider.tasks.provenance.memory import Memory
from outrider.tasks.provenance.seen import Place

MAX_DIGESTS: Final = 1024
MAX_CREATED: Final = 64
_STEP_SPECIAL: Final = 24  # leaves that are stored as whole values
_STEP_DOUBTED: Final = 8  # the same where each is looked up among what the task wrote
_SHORT_CHARS: Final = 5
_OTHERS: Final = (Label.RECORD, Label.PLATFORM)
_SAID: Final = {FieldLabel.PLATFORM: Label.PLATFORM, FieldLabel.RECORD: Label.RECORD}


class Lesson:
    """One part of an answer on its way into the stores of `memory`."""

    def __init__(
        self, event: str, *, action: Action | None, entry: ToolEntry, memory: Memory
    ) -> None:  # fmt: skip
        self._event = event
        self._memory = memory
        self._secrets = memory.secrets
        self._upstream = action.ask.upstream if action else ""
        arguments = action.ask.arguments if action else None
        sent = action is not None and action.effect_class is not EffectClass.READ
        self._carried = arguments if sent else None
        self._entry = entry
        self._leaves = Leaves(entry, plan_of(entry, arguments))
        self._forced = False
        self._labels: set[Label] = set()
        self._short: set[str] = set()
        self._sensitivity: Sensitivity | None = None
        self._found_secrets: dict[str, None] = {}
        self._subjects: dict[str, None] = {}
        self._with_subject: set[int] = set()
        self._listed: dict[str, None] = {}
        self._created: dict[str, None] = {}

    def take(self, answered: Answered) -> Generator[None, None, Learnt]:
        mark = _mark_of(answered.labels)
        doubted = answered.failed or FieldLabel.UNTRUSTED in answered.labels
        self._raise_to(answered.sensitivity)
        yield from self._memory.own.add(self._event, self._carried)
        if answered.value is not None:
            self._forced = doubted
            yield from self._take(answered.value, mark)
        twins = _twins(answered.value)
        for place, text in enumerate(answered.texts):
            if text in twins:
                continue
            value = yield from _parsed(text)
            if value is None or not any(value == twin for twin in twins):
                self._forced = doubted or not _is_labelled(answered, place, parsed=value)
                yield from self._take(text if value is None else value, mark)
        if not answered.whole:
            self._memory.incomplete = True
            self._labels.add(Label.UNTRUSTED)  # nobody knows what the rest said
        return Learnt(
            untrusted=Label.UNTRUSTED in self._labels,
            sensitivity=self._sensitivity,
            secrets=tuple(self._found_secrets),
            records=self._leaves.records,
            subjects=tuple(self._subjects),
            created=tuple(self._created),
            listed=tuple(self._listed),
            labels=tuple(sorted(self._labels, key=lambda label: label.rank)),
            incomplete=self._memory.is_incomplete,
        )

    def _take(self, value: Json, mark: Mark) -> Iterator[None]:
        special = 0
        weight = _STEP_SPECIAL // _STEP_DOUBTED if self._memory.own else 1
        for leaf in self._leaves.of(value, mark):
            if leaf is not None:
                yield from self._leaf(_distrusted(leaf) if self._forced else leaf)
                special += weight + (len(leaf.value) >> 8 if isinstance(leaf.value, str) else 0)
            if leaf is None or special >= _STEP_SPECIAL:
                special = 0
                self._flush()
                yield
        self._flush()

    def _leaf(self, leaf: Leaf) -> Iterator[None]:
        value, pointer, mark, _ = leaf
        self._labels.add(mark.label)
        found = None
        own = bool(self._memory.own) and mark.label in _OTHERS and self._memory.own.wrote(value)
        if mark.secret or (mark.label is not Label.UNTRUSTED and not own):
            place = Place(mark.label, f"{self._event}#{pointer}", b"", self._upstream, mark.exact)
            found = self._memory.keep(value, place, hidden=mark.secret) if _is_one(value) else None
        self._note(leaf, found)
        if mark.secret:
            return
        if mark.label is not Label.UNTRUSTED:
            if mark.label is Label.RECORD and isinstance(value, str) and not own:
                yield from self._record(value, f"{self._event}#{pointer}")
        elif isinstance(value, str) and len(value) > STEP_CHARS:
            yield from self._long(value, pointer)
        else:
            self._leaves.gather(value, pointer)

    def _long(self, text: str, pointer: str) -> Iterator[None]:
        """A long text, in pieces cut where white space is, so that it folds as it does whole."""
        self._flush()
        size = STEP_CHARS if text.isascii() else STEP_CHARS // 4
        for piece in pieces(text, size):
            self._memory.heard.append(fold_many([piece]), f"{self._event}#{pointer}")
            yield
        self._memory.heard.end()

    def _record(self, text: str, source: str) -> Iterator[None]:
        """The words of a record, but for those that the task itself wrote into it."""
        own, records = self._memory.own, self._memory.records
        small = own or not text.isascii()
        for piece in pieces(text, STEP_CHARS // 4 if small else STEP_CHARS):
            said = own.without(piece) if own else piece
            records.add(fold(said), fold(said, cased=True), source)
            if piece is not text:
                yield

    def _flush(self) -> None:
        """Take in what gathered: untrusted text."""
        texts, pointers = self._leaves.taken()
        if not texts:
            return
        self._labels.add(Label.UNTRUSTED)
        self._memory.heard.add(fold_many(texts), self._event, pointers)
        if not self._memory.seen.has_room_for_short:
            return
        found = {
            text: pointer
            for text, pointer in zip(texts, pointers, strict=True)
            if len(text) <= _SHORT_CHARS and text not in self._short
        }
        for text, pointer in found.items():
            self._memory.keep_short(text, self._event, pointer, self._upstream)
        self._short |= found.keys()

    def _note(self, leaf: Leaf, found: Value | None) -> None:
        """What a leaf says besides where it is from."""
        value, _, mark, record = leaf
        if mark.secret:
            self._raise_to(Sensitivity.SECRET)
            name = self._secrets.add(value if isinstance(value, str) else written(value))
            if name is not None:
                self._found_secrets[name] = None
        if mark.pii:
            self._raise_to(Sensitivity.CONFIDENTIAL)
            if record not in self._with_subject and len(self._subjects) < MAX_DIGESTS:
                self._with_subject.add(record)
                self._subjects[self._digest(value, found)] = None
        if mark.creates:
            self._create(leaf)
        trusted = mark.label in (Label.PLATFORM, Label.RECORD)
        if mark.listed and trusted and not mark.secret and len(self._listed) < MAX_DIGESTS:
            self._listed[self._digest(value, found)] = None

    def _create(self, leaf: Leaf) -> None:
        if len(self._created) < MAX_CREATED and not leaf.mark.secret:
            place = Place(Label.SESSION, f"{self._event}#{leaf.pointer}", b"", self._upstream, True)
            self._memory.keep(leaf.value, place)
            self._created[str(leaf.value)] = None

    def _digest(self, text: str | float, found: Value | None) -> str:
        found = found or (value_of(text) if _is_one(text) else None)
        return "" if found is None else self._memory.digest_of(found)

    def _raise_to(self, sensitivity: Sensitivity | None) -> None:
        if sensitivity is None:
            return
        if self._sensitivity is None or self._sensitivity.rank < sensitivity.rank:
            self._sensitivity = sensitivity


def _is_one(value: str | float) -> bool:
    """Whether it can be a value that is named as a whole; a long text is no more than its words."""
    if not isinstance(value, str) or len(value) <= LONGEST_SHAPED:
        return True
    return value.isascii() and len(value) <= LONGEST_CHARS


def _mark_of(labels: tuple[FieldLabel, ...]) -> Mark:
    """What policy's labels say where the manifest says nothing."""
    said = [_SAID.get(label, Label.UNTRUSTED) for label in labels if label not in _BESIDES]
    return Mark(
        label=max(said, key=lambda label: label.rank, default=Label.UNTRUSTED),
        secret=FieldLabel.SECRET in labels,
        pii=FieldLabel.PII in labels,
    )


def _is_labelled(answered: Answered, place: int, *, parsed: Json) -> bool:
    """Whether the manifest's labels are about this text: the only one of a result without fields.
    What stands beside is anybody's, though it spells the same fields."""
    if answered.value is not None or (answered.spelt and place > 0):
        return False
    return answered.spelt or (parsed is None and len(answered.texts) == 1)


def _distrusted(leaf: Leaf) -> Leaf:
    """A leaf that no label makes trusted; what it says of secrets and persons holds."""
    mark = leaf.mark._replace(label=Label.UNTRUSTED, exact=False, creates=False, listed=False)
    return leaf._replace(mark=mark)


_BESIDES: Final = frozenset({FieldLabel.SECRET, FieldLabel.PII})


def _twins(value: Json) -> list[Json]:
    """What a text may say again: the value, and what stands alone in it under `result`."""
    if value is None:
        return []
    if not isinstance(value, dict) or value.keys() != {"result"}:
        return [value]
    inner = value["result"]
    return [value, inner, *(inner if isinstance(inner, list) else ())]


def _parsed(text: str) -> Generator[None, None, Json]:
    """The object or array that `text` spells, None where it does not."""
    if text[:1] not in ("{", "[") and text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        data = text.encode()
        if len(data) < STEPPED_BYTES:
            return read(data, RESPONSE_LIMITS)
        return (yield from read_steps(data, RESPONSE_LIMITS))
    except (MalformedError, UnicodeEncodeError):
        return None
