"""The provenance indexes of the root tasks that run on this sidecar: in memory, bounded.

Law: an index that may not have seen all that the task's agents were shown says so.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Generator
from typing import Final, TypeVar

from outrider.core.ids import random_hex
from outrider.core.task import BoundTask
from outrider.tasks.behaviour.document import SEVERAL, TaskDocument
from outrider.tasks.provenance.index import Index

ROOTS: Final = 64
"""Indexes that are kept: one that is full takes about 2 MB. A root whose index had to go gets an
incomplete one."""
ANCHORED: Final = 64
"""Tasks of one root whose anchors are taken in."""

T = TypeVar("T")


class Shelf:
    """One root's index. `id` names it in the root's document."""

    __slots__ = ("anchored", "id", "index", "key", "period")

    def __init__(self, document: TaskDocument) -> None:
        self.id = random_hex(16)
        self.key = document.key
        self.period = document.period
        self.index = Index(key=bytes.fromhex(document.key), incomplete=document.indexed is not None)
        self.anchored: set[str] = set()

    def anchor(self, task: BoundTask) -> None:
        """Take in what the principal wrote for `task`, once."""
        if task.anchors and task.id not in self.anchored and len(self.anchored) < ANCHORED:
            self.anchored.add(task.id)
            self.index.anchor(task.anchors)

    def misses(self, document: TaskDocument) -> bool:
        """Whether somebody was shown what this index did not take in, or its digests are none of
        this document's."""
        if document.key != self.key:
            return True
        return document.indexed is not None and document.indexed != self.id

    def took_in(self, document: TaskDocument) -> None:
        """Note in the document that this index took in part of an answer."""
        document.indexed = SEVERAL if self.misses(document) else self.id


class Indexes:
    """The shelves by root, the one used longest ago first."""

    def __init__(self) -> None:
        self._shelves: OrderedDict[str, Shelf] = OrderedDict()

    def of(self, root: str, document: TaskDocument, task: BoundTask | None) -> Shelf:
        """The index of a root whose document this is; a new one with each period."""
        shelf = self._shelves.get(root)
        if shelf is None or shelf.period != document.period or shelf.key != document.key:
            shelf = self._shelves[root] = Shelf(document)
            if len(self._shelves) > ROOTS:
                self._shelves.popitem(last=False)
        self._shelves.move_to_end(root)
        if task is not None and task.anchors:
            shelf.anchor(task)
        return shelf

    def forget(self, root: str) -> None:
        """The root task ended."""
        self._shelves.pop(root, None)


async def in_turns(steps: Generator[None, None, T]) -> T:
    """What `steps` return; the loop has its turn at each."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            found: T = done.value
            return found
        await asyncio.sleep(0)
