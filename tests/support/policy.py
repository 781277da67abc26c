"""Engines that misbehave on purpose, and small releases to be judged by."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.ports import ActivePolicy, Defined, Failed, Meta, Question, Raw, Snapshot
from outrider.core.vocabulary import Reason
from outrider.policy.bundle import Tree
from outrider.policy.release import Release, assemble
from tests.support.builders import a_manifest, a_subject, a_task, an_action, an_exchange

ENTRYPOINT = "data.outrider.decision"
ALLOW_ALL = 'package outrider\n\ndecision := {"effect": "allow"}\n'
DENY_ALL = 'package outrider\n\ndecision := {"effect": "deny"}\n'
TRIAGE: JsonObject = {
    "owner": "team-support",
    "sponsor": "alice@acme.test",
    "tier": "standard",
    "environment": "prod",
    "status": "active",
    "purpose": "read and answer support tickets",
}


def a_tree(
    modules: Mapping[str, str] | str = ALLOW_ALL,
    data: JsonObject | None = None,
    **changes: object,
) -> Tree:
    """A tree in memory; one text is `outrider/main.rego`, `data` stands below data.outrider."""
    texts = {"outrider/main.rego": modules} if isinstance(modules, str) else dict(modules)
    outrider: JsonObject = {} if data is None else data
    fields: dict[str, object] = {
        "modules": texts,
        "tests": {},
        "suites": {},
        "data": {"outrider": outrider},
        "fixtures": {},
        "declared": {},
        "catalogue": None,
        "files": {name: text.encode() for name, text in texts.items()},
    }
    return Tree(**fields | changes)  # type: ignore[arg-type]


def a_release(
    modules: Mapping[str, str] | str = ALLOW_ALL,
    data: JsonObject | None = None,
    *,
    revision: str = "rev-1",
    **changes: object,
) -> Release:
    tree = a_tree(modules, data, **changes)
    return assemble(tree, revision=revision, digest=revision, hosts={}, complete=False)


def a_policy(snapshot: Snapshot, **changes: object) -> ActivePolicy:
    fields: dict[str, object] = {
        "revision": snapshot.revision,
        "manifest": a_manifest(),
        "agents": a_release(data={"agents": {a_subject().id: TRIAGE}}).agents,
        "snapshot": snapshot,
        "engine": "embedded",
    }
    return ActivePolicy(**fields | changes)  # type: ignore[arg-type]


def a_question(**changes: object) -> Question:
    fields: dict[str, object] = {
        "exchange": an_exchange(),
        "subject": a_subject(),
        "action": an_action(),
        "task": a_task(),
        "arguments_digest": "sha256:" + "0" * 64,
    }
    return Question(**fields | changes)  # type: ignore[arg-type]


def write_tree(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Put `files` below `root` and give `root` back."""
    for name, content in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


@dataclass(slots=True)
class FixedSnapshot:
    """Answers each query with the next of `answers`, the last one for ever; remembers queries."""

    answers: Sequence[Raw]
    revision: str = "rev-1"
    expected: frozenset[str] = frozenset({"rev-1"})
    waits: bool = True
    queries: list[bytes] = field(default_factory=list)
    traces: list[str | None] = field(default_factory=list)

    async def evaluate(
        self, entrypoint: str, query: bytes, deadline_s: float, trace: str | None
    ) -> Raw:
        place = min(len(self.queries), len(self.answers) - 1)
        self.queries.append(query)
        self.traces.append(trace)
        if self.waits:
            await asyncio.sleep(0)
        return self.answers[place]


@dataclass(slots=True)
class SlowSnapshot:
    """Never answers by itself; counts those who wait and those who were cancelled."""

    revision: str = "rev-1"
    expected: frozenset[str] = frozenset({"rev-1"})
    waits: bool = True
    waiting: int = 0
    most: int = 0
    cancelled: int = 0

    async def evaluate(
        self, entrypoint: str, query: bytes, deadline_s: float, trace: str | None
    ) -> Raw:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.waiting -= 1
        return Failed(code=Reason.POLICY_ERROR, detail="never")


@dataclass(slots=True)
class FixedEngine:
    """An engine whose every release answers the same."""

    answers: Sequence[Raw]
    name: str = "fixed"
    activated: list[str] = field(default_factory=list)

    def snapshot(self) -> FixedSnapshot:
        revision = self.activated[-1] if self.activated else "rev-1"
        return FixedSnapshot(self.answers, revision=revision, expected=frozenset({revision}))

    async def activate(self, release: Release) -> FixedSnapshot:
        self.activated.append(release.revision)
        return self.snapshot()


@dataclass(slots=True)
class BrokenEngine:
    """An engine that can activate nothing."""

    name: str = "broken"

    def snapshot(self) -> Snapshot:
        raise ConfigError("broken on purpose")

    async def activate(self, release: Release) -> Snapshot:
        raise ConfigError("broken on purpose")


def answers(value: Json, **meta: object) -> Defined:
    return Defined(value=value, meta=Meta(**meta))  # type: ignore[arg-type]


def fails(code: Reason = Reason.POLICY_ERROR) -> Failed:
    return Failed(code=code, detail="on purpose")
