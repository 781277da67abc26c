"""The shipped library says the same in OPA and in regorus (POLICY §4, the release gate).

Fixtures and suite cases as they stand; then each place of an input, and of the data, removed,
nulled and retyped. On OPA alone: what is missing from an input never makes the effect laxer.
`OUTRIDER_TEST_DIFFERENTIAL=whole` leaves nothing out; else the largest sets are sampled.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from typing import TypeVar

import orjson
import pytest
from opa_client.errors import RegoParseError

from outrider.config.paths import shipped_rego
from outrider.core.clock import SystemClock
from outrider.core.jsonvalue import JsonObject
from outrider.core.ports import Failed
from outrider.policy import bundle
from outrider.policy.engines.embedded import EmbeddedSnapshot
from outrider.policy.gate import shipped_gate
from outrider.policy.opa_door import UnixDoor
from outrider.policy.opa_hot import HotClient, request_head
from outrider.policy.opa_reply import read_reply
from outrider.policy.opa_slow import OpaControl
from outrider.policy.release import Release, load
from outrider.policy.suite import read_suite
from tests.support.differential import RANK, Verdict, changes, is_leaf, sample, verdict_of
from tests.support.opa import ENTRYPOINT, bare_opa

pytestmark = pytest.mark.opa

_Item = TypeVar("_Item")
CLOCK = SystemClock()
HEAD = request_head(ENTRYPOINT)
ASK_S = 20.0
WHOLE = os.environ.get("OUTRIDER_TEST_DIFFERENTIAL") == "whole"
MOST_INPUTS = 1000
MOST_REMOVED = 1500
MOST_DATA = 50

# Suite and place where leaving something out may open. A tag taken off a tool says that it is no
# deployment, a secret or a source taken off an argument that there is none; it is the missing list
# that says nothing, and that holds.
TAGGED = ("SQ-14", "SQ-19", "SQ-21", "SQ-23", "SQ-24")
LAXER = frozenset(
    {
        ("EF-08", "/resource/properties/tags/0"),
        ("ID-02", "/subject/properties/environment"),  # declared none: nothing to compare
        ("PV-01", "/action/properties/destinations/1/pointer"),  # then no argument names it
        ("TS-08", "/action/properties/protocol"),  # the proxy says it always: no tunnel without
        *((code, "/resource/properties/tags/0") for code in TAGGED),
        *(("RL-02", f"/context/behaviour/recent/{place}/outcome") for place in range(8)),
    }
)
_LISTED = re.compile(r"/action/properties/provenance/[^/]+/(secrets|sources|tokens)/\d+(/.*)?")


@cache
def shipped() -> Release:
    return load(shipped_rego())


@cache
def documents() -> dict[str, JsonObject]:
    """Fixtures and suite cases by name."""
    tree = bundle.read(shipped_rego())
    found = dict(tree.fixtures)
    for file in sorted(tree.suites):
        found |= {f"{case.suite}: {case.name}": case.input for case in read_suite(tree, file)}
    return found


@pytest.fixture(autouse=True)
def _read_before_a_loop_runs() -> None:
    shipped()
    documents()


class Both:
    """One release in both engines."""

    def __init__(self, release: Release, opa: HotClient) -> None:
        self._opa = opa
        self._release = release
        self._regorus = EmbeddedSnapshot(release=release, clock=CLOCK)

    async def opa(self, query: bytes) -> Verdict:
        reply = await self._opa.ask(HEAD, query, CLOCK.monotonic_s() + ASK_S)
        assert not isinstance(reply, Failed), reply
        return verdict_of(read_reply(reply, 0), self._release.revision)

    async def regorus(self, query: bytes) -> Verdict:
        raw = await self._regorus.evaluate(ENTRYPOINT, query, CLOCK.monotonic_s() + ASK_S, None)
        return verdict_of(raw, self._release.revision)

    async def differences(self, named: Iterable[tuple[str, JsonObject]]) -> list[str]:
        """What the two do not agree on."""
        queries = [(name, orjson.dumps(document)) for name, document in named]
        answers = await asyncio.gather(*(self.opa(query) for _, query in queries))
        return [
            f"{name}: OPA {one}, regorus {other}"
            for (name, query), one in zip(queries, answers, strict=True)
            if (other := await self.regorus(query)) != one
        ]


@asynccontextmanager
async def both() -> AsyncIterator[tuple[Both, HotClient, OpaControl]]:
    release = shipped()
    async with bare_opa(release) as path, OpaControl(path, timeout_s=ASK_S) as control:
        client = HotClient(door=UnixDoor(path), connections=8, clock=CLOCK)
        yield Both(release, client), client, control
        client.close()


def in_batches(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), 200):
        yield items[start : start + 200]


async def test_fixtures_and_suite_cases_are_judged_alike():
    async with both() as (engines, _, _):
        assert len(documents()) >= 5
        for batch in in_batches(list(documents().items())):
            assert await engines.differences(batch) == []


async def test_the_cases_reach_every_effect():
    async with both() as (engines, _, _):
        effects = {
            (await engines.opa(orjson.dumps(document))).effect for document in documents().values()
        }
    assert effects == set(RANK)


async def test_every_place_of_an_input_removed_nulled_or_retyped_is_judged_alike():
    changed = [
        (name, change) for name, document in documents().items() for change in changes(document)
    ]
    assert len(changed) > 1000
    async with both() as (engines, _, _):
        for batch in in_batches(sample(changed, MOST_INPUTS, whole=WHOLE)):
            named = [
                (f"{name}: {change.pointer} {change.how}", change.document)
                for name, change in batch
            ]
            assert await engines.differences(named) == []


async def test_every_place_of_the_data_removed_nulled_or_retyped_is_judged_alike():
    release = shipped()
    found = [
        change
        for change in changes(release.data)
        if change.pointer != "/outrider" and not change.pointer.startswith("/outrider/build")
    ]
    cases = list(documents().items())
    gate = await asyncio.to_thread(lambda: shipped_gate(shipped_rego(), ENTRYPOINT))
    async with both() as (_, client, control):
        for change in sample(found, MOST_DATA, whole=WHOLE):
            changed = replace(release, data=change.document)
            try:
                await control.update_or_create_data(changed.data["outrider"], "outrider")
            except RegoParseError:
                # data where rules are: OPA takes no such bundle, nor may regorus be given it
                assert gate.problems(changed), f"{change.pointer} {change.how}"
                continue
            engines = Both(changed, client)
            chosen = sample(cases, 10, whole=WHOLE)
            named = [(f"{change.pointer} {change.how}: {name}", case) for name, case in chosen]
            assert await engines.differences(named) == []


async def test_an_input_with_something_missing_is_never_judged_more_laxly():
    removed = [
        (name, change)
        for name, document in documents().items()
        for change in changes(document)
        if change.how == "removed" and is_leaf(document, change)
    ]
    async with both() as (engines, _, _):
        whole = {
            name: await engines.opa(orjson.dumps(document))
            for name, document in documents().items()
        }
        chosen = sample(removed, MOST_REMOVED, whole=WHOLE)
        answers = [
            answer
            for batch in in_batches(chosen)
            for answer in await asyncio.gather(
                *(engines.opa(orjson.dumps(change.document)) for _, change in batch)
            )
        ]
    laxer = {
        (name.partition(":")[0], change.pointer)
        for (name, change), answer in zip(chosen, answers, strict=True)
        if RANK[answer.effect] < RANK[whole[name].effect] and not _LISTED.fullmatch(change.pointer)
    }
    assert laxer <= LAXER
