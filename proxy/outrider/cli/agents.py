"""`outrider agents`: who spoke to the running sidecar, set against who is declared."""

import typer

from outrider.cli.client import ControlClient, control_faults
from outrider.cli.common import (
    ConfigOption,
    JsonOption,
    out,
    plain,
    print_json,
    print_table,
    settings,
)
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object

app = typer.Typer(no_args_is_help=True, help="Set agents seen against agents declared.")

_MEANINGS = {
    "unknown": "it spoke here and nobody declared it: find its owner, or find out who it is",
    "offboarded": "it is out; whatever it still asks is refused",
    "quarantined": "it is cut off until a person lets it back in",
    "overdue": "its review is overdue: its owner looks at it and moves review_by",
}
_DAY_S = 86_400


@app.callback()
def _group() -> None:
    """A group, though it has one command yet."""


@app.command(name="list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every declared agent and every one that was seen since the sidecar started; exit 1 where
    one was seen that nobody declared, or that is out."""
    with control_faults():
        found = ControlClient(settings(config)).get("/v1/agents")
    agents = [as_object(agent) for agent in as_list(found.get("agents"))]
    if as_json:
        print_json(found)
    else:
        print_table(
            "Agents",
            ("id", "owner", "sponsor", "status", "review by", "last seen", "look at"),
            (_row(agent) for agent in agents),
        )
        for mark in dict.fromkeys(mark for agent in agents for mark in _marks(agent)):
            out.print(f"[yellow]{plain(mark)}[/]: {plain(_MEANINGS.get(mark, mark))}")
        if found.get("forgotten"):
            out.print(f"{found['forgotten']} more were seen and are forgotten: too many")
    if any(
        agent.get("seen") and {"unknown", "offboarded"} & set(_marks(agent)) for agent in agents
    ):
        raise typer.Exit(1)


def _row(agent: JsonObject) -> tuple[str, ...]:
    seen = as_object(agent.get("seen"))
    due, overdue = _text(agent.get("review_by")), agent.get("overdue_s")
    if isinstance(overdue, int | float) and overdue > 0:
        due += f" ({int(overdue) // _DAY_S + 1} d late)"
    return (
        _text(agent.get("id")),
        _text(agent.get("owner")),
        _text(agent.get("sponsor")),
        _text(agent.get("status")),
        due,
        _text(seen.get("last")) or "never",
        ", ".join(_marks(agent)),
    )


def _marks(agent: JsonObject) -> list[str]:
    return [str(mark) for mark in as_list(agent.get("marks"))]


def _text(value: Json) -> str:
    return "" if value is None else str(value)
