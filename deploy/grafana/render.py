"""Writes the dashboards as Grafana reads them: `python -m deploy.grafana.render`.

The library leaves every panel with id 0 and every query with an empty refId; both are made unique
here. Nothing random, nothing of the day: the same source gives the same bytes.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from deploy.grafana import data_plane, injector, overview, policy, security
from deploy.grafana.panels import SOURCE, WIDTH, Board, Panel, Section, drawn

FOLDER: Final = Path(__file__).resolve().parent / "dashboards"
BOARDS: Final = (
    overview.BOARD,
    policy.BOARD,
    security.BOARD,
    data_plane.BOARD,
    injector.BOARD,
)
_TAG: Final = "outrider"
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NEW_REVISION: Final = (
    'count by (bundle, revision) (outrider_policy_revision_info{namespace=~"$namespace"}) '
    "unless count by (bundle, revision) "
    '(outrider_policy_revision_info{namespace=~"$namespace"} offset 5m)'
)


def placed(section: Section, top: int) -> Iterator[tuple[Panel, int, int]]:
    """Each panel of a section with its place, filled from the left, the first row at `top`."""
    x, y, height = 0, top, 0
    for panel in section.panels:
        if x + panel.width > WIDTH:
            x, y, height = 0, y + height, 0
        yield panel, x, y
        x, height = x + panel.width, max(height, panel.height)


def build(board: Board) -> dashboard.Dashboard:
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.about)
        .tags([_TAG])
        .time("now-6h", "now")
        .refresh("1m")
        .timezone("browser")
        .editable()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").type("prometheus"))
        .with_variable(_choice("namespace", "label_values(outrider_build_info, namespace)"))
        .link(
            dashboard.DashboardLink("Outrider")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([_TAG])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
    )
    if board.by_agent:
        query = 'label_values(outrider_build_info{namespace=~"$namespace"}, agent)'
        made = made.with_variable(_choice("agent", query))
    top = 0
    for section in board.sections:
        made = made.with_row(dashboard.Row(section.title).grid_pos(_line(top)))
        bottom = top + 1
        for panel, x, y in placed(section, top + 1):
            made = made.with_panel(drawn(panel, x, y))
            bottom = max(bottom, y + panel.height)
        top = bottom
    return made


def _line(y: int) -> models.GridPos:
    return models.GridPos(x=0, y=y, w=WIDTH, h=1)


def _choice(name: str, query: str) -> dashboard.QueryVariable:
    everything = models.VariableOption(selected=True, text="All", value="$__all")
    return (
        dashboard.QueryVariable(name)
        .label(name.capitalize())
        .datasource(SOURCE)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(everything)
    )


def document(board: Board) -> dict[str, Any]:
    """The dashboard as JSON values, its ids and refIds made unique."""
    text = json.dumps(build(board).build(), cls=JSONEncoder)
    found: dict[str, Any] = orjson.loads(text)
    found.pop("id", None)
    found["annotations"] = {"list": [_revisions()]}
    for number, panel in enumerate(found["panels"], start=1):
        panel["id"] = number
        for letter, target in zip(_LETTERS, panel.get("targets") or (), strict=False):
            target["refId"] = letter
    return found


def _revisions() -> dict[str, Any]:
    return {
        "name": "New policy revision",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "enable": True,
        "iconColor": "blue",
        "expr": _NEW_REVISION,
        "step": "60s",
        "titleFormat": "{{bundle}}",
        "textFormat": "{{revision}}",
    }


def rendered() -> dict[str, bytes]:
    """File name -> its bytes."""
    return {
        f"{board.uid}.json": orjson.dumps(
            document(board), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        )
        for board in BOARDS
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, data in rendered().items():
        (FOLDER / name).write_bytes(data)
