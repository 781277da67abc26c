"""The dashboards are what their source says, lie on no other panel and ask for what is there."""

import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final

import orjson
import pytest

from deploy.grafana.render import BOARDS, FOLDER, rendered
from tests.support.rules import BASE, alerts, declared, faults, selectors

FILES: Final = {path.name: orjson.loads(path.read_bytes()) for path in FOLDER.glob("*.json")}
UNSEEN: Final = {
    "outrider_identity_bundle_trust_domains": "in the runbooks of handshakes",
    "outrider_identity_anchor_collisions_total": "in the runbook of forged identities",
    "outrider_identity_jwt_fetch_seconds": "asked of SPIRE alone; `outrider identity show` has it",
    "outrider_identity_workload_api_last_contact_timestamp_seconds": "in the runbook of SVIDs",
    "outrider_identity_workload_api_reconnects_total": "in the runbook of the Workload API",
    "outrider_identity_workload_api_updates_total": "its state is shown",
    "outrider_config_info": "joined in alerts",
    "outrider_config_last_reload_success_timestamp_seconds": "in the runbook of reloads",
    "outrider_capture_verified_timestamp_seconds": "0 where nothing watches; in the alert",
    "outrider_policy_max_staleness_seconds": "the bound, in the alert",
    "outrider_review_overdue_seconds": "in the alert",
    "outrider_audit_last_success_timestamp_seconds": "in the alert; its queue is shown",
    "outrider_injector_certificate_lifetime_seconds": "in the alert",
}
"""Declared metrics that no panel shows, and where they are used instead."""


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    for name, board in FILES.items():
        for panel in panels(board):
            for target in panel["targets"]:
                yield f"{name}: {panel['title']} {target['refId']}", target["expr"]
        for note in board["annotations"]["list"]:
            yield f"{name}: {note['name']}", note["expr"]


def test_what_is_rendered_is_what_the_source_says() -> None:
    """`make dashboards` writes it anew."""
    assert {path.name: path.read_bytes() for path in FOLDER.iterdir()} == rendered()


def test_the_five_are_there_under_stable_names() -> None:
    assert {board["uid"] for board in FILES.values()} == {
        "outrider-overview",
        "outrider-policy",
        "outrider-security",
        "outrider-data-plane",
        "outrider-injector",
    }


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_panel_and_query_can_be_told_from_the_others(name: str) -> None:
    board = FILES[name]
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert 0 not in numbers
    for panel in panels(board):
        letters = [target["refId"] for target in panel["targets"]]
        assert letters
        assert all(letters)
        assert len(set(letters)) == len(letters)
    titles = [panel["title"] for panel in panels(board)]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_panel_lies_on_another_or_over_the_edge(name: str) -> None:
    places = [(panel["title"], panel["gridPos"]) for panel in FILES[name]["panels"]]
    for _, one in places:
        assert one["x"] + one["w"] <= 24
        assert one["w"] > 0
        assert one["h"] > 0
    for (first, one), (second, other) in combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (first, second)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_panel_has_a_unit_a_sentence_and_no_data_source_of_its_own(name: str) -> None:
    for panel in panels(FILES[name]):
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        for one in (panel, *panel["targets"]):
            assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert "__inputs" not in FILES[name]
    choices = [one["name"] for one in FILES[name]["templating"]["list"]]
    assert choices[:2] == ["datasource", "namespace"]


@pytest.mark.parametrize(
    "expression", [pytest.param(text, id=where) for where, text in expressions()]
)
def test_a_query_reads_only_what_is_declared(expression: str) -> None:
    assert faults(expression) == []


def test_a_panel_leads_to_runbooks_that_are_there() -> None:
    led = {
        link["url"]
        for board in FILES.values()
        for panel in panels(board)
        for link in panel.get("links") or ()
    }
    assert led <= {f"{BASE}{alert}.md" for alert in alerts()}
    shown = {url.removeprefix(BASE).removesuffix(".md") for url in led}
    assert set(alerts()) - shown <= {"OutriderReviewOverdue"}


def test_a_counter_is_never_read_raw() -> None:
    """Its value says how long ago the sidecar started, and little else."""
    bare = [
        (where, name)
        for where, expression in expressions()
        for name, _ in selectors(expression)
        if name.endswith("_total")
        and not re.search(rf"(rate|increase)\(\s*{name}\b", expression)
        and name != "outrider_audit_gaps_total"
    ]
    assert bare == []


def test_every_declared_metric_is_shown_or_said_why_not() -> None:
    parts = ("_bucket", "_count", "_sum")
    read = {name for _, expression in expressions() for name, _ in selectors(expression)}
    shown = {name.removesuffix(part) for name in read for part in ("", *parts)}
    every = {str(entry["name"]) for entry in declared().values()}
    assert every - shown == set(UNSEEN)


def test_the_source_knows_no_board_twice() -> None:
    assert len({board.uid for board in BOARDS}) == len(BOARDS) == len(FILES)
