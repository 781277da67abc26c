"""The metrics page: whole in every format, made once for scrapes at once, kept for a second."""

import asyncio
from collections.abc import Callable, Iterable

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_classic

from outrider.telemetry.exposition import Exposition
from tests.support.builders import FixedClock

OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class CountingRegistry(CollectorRegistry):
    def __init__(self) -> None:
        super().__init__()
        self.collected = 0

    def collect(self) -> Iterable[Metric]:
        self.collected += 1
        return super().collect()


@pytest.fixture(name="registry")
def _registry() -> CountingRegistry:
    registry = CountingRegistry()
    Counter("outrider_a", "A", ["x"], registry=registry).labels("1").inc()
    Gauge("outrider_b", "B", registry=registry).set(2)
    return registry


@pytest.mark.parametrize(
    ("accept", "kind", "parse"),
    [
        pytest.param("", "text/plain", parse_classic, id="no-accept"),
        pytest.param("text/plain", "text/plain", parse_classic, id="classic"),
        pytest.param("*/*", "text/plain", parse_classic, id="anything"),
        pytest.param("\x00,;;q=", "text/plain", parse_classic, id="nonsense"),
        pytest.param("a," * 10_000, "text/plain", parse_classic, id="very-long"),
        pytest.param(OPEN, "application/openmetrics-text", parse_open, id="openmetrics"),
    ],
)
async def test_each_format_is_whole(
    registry: CountingRegistry, accept: str, kind: str, parse: Callable[[str], Iterable[Metric]]
) -> None:
    exposition = Exposition(registry, FixedClock())

    content_type, body = await exposition.render(accept)

    assert content_type.startswith(kind)
    assert {family.name for family in parse(body.decode())} == {"outrider_a", "outrider_b"}
    assert body.count(b"# EOF") == (kind != "text/plain")
    exposition.close()


async def test_scrapes_at_once_share_one_page(registry: CountingRegistry) -> None:
    exposition = Exposition(registry, FixedClock())
    pages = await asyncio.gather(*(exposition.render("") for _ in range(20)))
    assert len({body for _, body in pages}) == 1
    assert registry.collected == 1
    exposition.close()


async def test_a_page_is_kept_for_a_second_and_then_made_anew(registry: CountingRegistry) -> None:
    clock = FixedClock()
    exposition = Exposition(registry, clock)
    await exposition.render("")
    clock.pass_s(0.9)
    await exposition.render("")
    assert registry.collected == 1
    clock.pass_s(0.2)
    await exposition.render("")
    assert registry.collected == 2
    exposition.close()


async def test_a_scraper_that_leaves_spoils_nothing_for_the_next(
    registry: CountingRegistry,
) -> None:
    exposition = Exposition(registry, FixedClock())
    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(exposition.render(""))
        await asyncio.sleep(0)
        leaving.cancel()
    _, body = await exposition.render("")
    assert b"outrider_b 2.0" in body
    exposition.close()
