"""What dashboards and alerts are written against: the exported names, held equal to a list."""

from pathlib import Path

from outrider.telemetry.metrics import Metrics

LIST = Path(__file__).resolve().parents[2] / "deploy" / "metrics.txt"


def test_the_exported_names_are_those_of_the_list() -> None:
    families = Metrics(upstreams=["crm"]).registry.collect()
    names = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in families
        if family.name.startswith("outrider_")
    }
    assert names == set(LIST.read_text(encoding="utf-8").split())


def test_every_metric_says_what_it_is() -> None:
    families = Metrics(upstreams=["crm"]).registry.collect()
    assert not [family.name for family in families if not family.documentation]
