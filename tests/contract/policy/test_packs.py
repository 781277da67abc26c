"""Each sample pack loads as production demands, is clean, and passes the suites it brings."""

import asyncio
from datetime import date
from pathlib import Path

import pytest

from outrider.config.paths import shipped_rego
from outrider.core.clock import SystemClock
from outrider.core.jsonvalue import as_object
from outrider.policy.engines.embedded import EmbeddedSnapshot
from outrider.policy.lint import lint
from outrider.policy.release import Release, load
from outrider.policy.suite import run_tests, tree_to_test, uncovered
from outrider.policy.world import read_language
from tests.support.policy import ENTRYPOINT

SHIPPED = shipped_rego()
PACKS = sorted((SHIPPED / "packs").glob("*.yaml"))
CLOCK = SystemClock()
every_pack = pytest.mark.parametrize("pack", PACKS, ids=[pack.stem for pack in PACKS])


async def make(release: Release) -> EmbeddedSnapshot:
    return EmbeddedSnapshot(release=release, clock=CLOCK)


def test_the_packs_are_those_that_are_promised():
    assert {pack.stem for pack in PACKS} == {
        "customer_data", "customer_facing", "devops", "finance", "infrastructure", "source_code",
        "summariser",
    }  # fmt: skip


@every_pack
def test_a_pack_passes_its_own_suites(pack: Path):
    release = load(SHIPPED, [pack], complete=True)
    tree = tree_to_test(SHIPPED, [pack])
    report = asyncio.run(
        run_tests(tree, release, make, engine="embedded", entrypoint=ENTRYPOINT, clock=CLOCK)
    )
    assert [f"{one.name}: {one.message}" for one in report.failed] == []
    assert report.passed
    assert uncovered(report.results) == []


@every_pack
def test_a_pack_is_clean(pack: Path):
    found = lint(
        SHIPPED,
        [pack],
        library=SHIPPED,
        language=read_language(SHIPPED),
        entrypoint=ENTRYPOINT,
        today=date(2026, 11, 23),
    )
    assert found == []


@every_pack
def test_its_template_reaches_what_its_manifest_declares_and_nothing_else(pack: Path):
    outrider = as_object(load(SHIPPED, [pack]).data["outrider"])
    for template in as_object(outrider["templates"]).values():
        grant = as_object(as_object(template)["grant"])
        for tool in grant["tools"]:  # type: ignore[union-attr]
            assert str(tool).partition("/")[0] in as_object(outrider["manifest"])


def test_the_summariser_is_granted_nothing_that_leaves():
    outrider = as_object(load(SHIPPED, [SHIPPED / "packs" / "summariser.yaml"]).data["outrider"])
    template = as_object(as_object(outrider["templates"])["summarise"])
    assert as_object(template["grant"])["effects"] == ["read", "write"]
