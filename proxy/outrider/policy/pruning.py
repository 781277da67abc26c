"""What of the input policy reads, and an input cut down to it (POLICY §2.3)."""

from typing import Optional, TypeAlias

from outrider.core.jsonvalue import Json, JsonObject

Reads: TypeAlias = frozenset[tuple[str, ...]]
Tree: TypeAlias = dict[str, Optional["Tree"]]
"""Names that are read, sorted, each with what is read below it; None stands for all."""


class Keep:
    """The part of the input's tree that policy reads; `None` reads are the whole."""

    def __init__(self, reads: Reads | None) -> None:
        self._reads = reads

    def below(self, *steps: str) -> "Keep | None":
        """What is read below `steps`, or None where nothing there is."""
        if self._reads is None:
            return self
        found: set[tuple[str, ...]] = set()
        for path in self._reads:
            if path == steps[: len(path)]:
                return Keep(None)
            if path[: len(steps)] == steps:
                found.add(path[len(steps) :])
        return Keep(frozenset(found)) if found else None

    def tree(self) -> "Tree | None":
        """What is read as a tree of names, sorted; None where all of it is."""
        if self._reads is None or () in self._reads:
            return None
        names = sorted({path[0] for path in self._reads})
        below = ((name, self.below(name)) for name in names)
        return {name: kept.tree() for name, kept in below if kept is not None}

    def pruned(self, value: Json) -> Json:
        """`value` with the members of objects that are read."""
        if self._reads is None or not isinstance(value, dict):
            return value
        kept: JsonObject = {}
        for key, inner in value.items():
            below = self.below(key)
            if below is not None:
                kept[key] = below.pruned(inner)
        return kept


def below(value: Json, tree: Tree | None) -> Json:
    """`value` with the members of objects that `tree` names; None is the whole."""
    if tree is None or type(value) is not dict:
        return value
    return {name: below(value[name], inner) for name, inner in tree.items() if name in value}
