"""What differs between two releases: manifest, rules by control, data by key.

Law: everything that differs is told, in an order that does not depend on how the releases came to
be; what is only written otherwise is no difference.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Final

from outrider.core.jsonvalue import Json, JsonObject
from outrider.policy.release import Release

_LONGEST_DIFF: Final = 5000  # lines of a module that are compared one by one


class Part(StrEnum):
    MANIFEST = "manifest"
    SIGNATURE = "signature"
    RULE = "rule"
    DATA = "data"
    FIXTURE = "fixture"


class Change(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that differs. `name` is a file, or a JSON pointer into data; `before` and `after`
    are values, for modules how many lines went and came."""

    part: Part
    name: str
    change: Change
    before: Json = None
    after: Json = None

    def document(self) -> JsonObject:
        return {
            "part": self.part.value,
            "name": self.name,
            "change": self.change.value,
            "before": self.before,
            "after": self.after,
        }


def differences(before: Release, after: Release) -> tuple[Difference, ...]:
    """What `after` says that `before` did not, and the other way round."""
    return (
        *_values(Part.MANIFEST, _manifest(before), _manifest(after), ""),
        *_values(Part.SIGNATURE, _signature(before), _signature(after), ""),
        *_modules(before.modules, after.modules),
        *_values(Part.DATA, _data(before), _data(after), ""),
        *_values(Part.FIXTURE, dict(before.fixtures), dict(after.fixtures), ""),
    )


def _manifest(release: Release) -> JsonObject:
    return {"revision": release.revision, "metadata": release.metadata}


def _signature(release: Release) -> JsonObject:
    signed = release.signed
    return {} if signed is None else {"key": signed.key, "scope": signed.scope}


def _data(release: Release) -> JsonObject:
    """The data without the revision, which the manifest tells."""
    return {
        root: {key: inner for key, inner in value.items() if key != "build"}
        if isinstance(value, dict)
        else value
        for root, value in release.data.items()
    }


def _modules(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Difference]:
    for name in sorted({*before, *after}):
        if name not in after:
            went = len(before[name].splitlines())
            yield Difference(part=Part.RULE, name=name, change=Change.REMOVED, before=went)
        elif name not in before:
            came = len(after[name].splitlines())
            yield Difference(part=Part.RULE, name=name, change=Change.ADDED, after=came)
        elif before[name] != after[name]:
            went, came = _lines(before[name].splitlines(), after[name].splitlines())
            yield Difference(
                part=Part.RULE, name=name, change=Change.CHANGED, before=went, after=came
            )


def _lines(before: list[str], after: list[str]) -> tuple[int, int]:
    """How many lines went and how many came."""
    if max(len(before), len(after)) > _LONGEST_DIFF:
        return len(before), len(after)
    codes = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    changed = [code for code in codes if code[0] != "equal"]
    went = sum(code[2] - code[1] for code in changed)
    return went, sum(code[4] - code[3] for code in changed)


def _values(part: Part, before: Json, after: Json, where: str) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            place = f"{where}/{key.replace('~', '~0').replace('/', '~1')}"
            if key not in after:
                yield Difference(part=part, name=place, change=Change.REMOVED, before=before[key])
            elif key not in before:
                yield Difference(part=part, name=place, change=Change.ADDED, after=after[key])
            else:
                yield from _values(part, before[key], after[key], place)
    elif not _same(before, after):
        yield Difference(part=part, name=where, change=Change.CHANGED, before=before, after=after)


def _same(before: Json, after: Json) -> bool:
    """Equal as JSON is: True is not 1, and 1 is 1.0."""
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(_same, before, after))
    if isinstance(before, dict) and isinstance(after, dict):
        return before.keys() == after.keys() and all(_same(before[k], after[k]) for k in before)
    return isinstance(before, bool) is isinstance(after, bool) and before == after
