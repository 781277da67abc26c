"""What dashboards and alerts are written against: the generated pages are as the code declares."""

from pathlib import Path

import pytest

from outrider.telemetry.metrics import Metrics
from tests.support.metric_pages import pages


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_each_page_is_as_the_declarations_make_it(path: Path) -> None:
    made = pages()[path]
    assert path.read_bytes() == made, "run `make metric-pages`"


def test_every_metric_says_what_it_is() -> None:
    families = Metrics(upstreams=["crm"]).registry.collect()
    assert not [family.name for family in families if not family.documentation]
