"""`python -m tests.bench.micro.library`: what one decision of the shipped Rego costs in process.

The engine is used as the embedded leg uses it, without anything of ours around it: input set from
JSON text, one rule evaluated, the answer taken as JSON text.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final

import orjson
import regorus
from rich.console import Console
from rich.table import Table

from outrider.core.jsonvalue import JsonObject
from outrider.policy.bundle import read
from outrider.policy.index import indexes
from outrider.policy.inputs import reads
from outrider.policy.pruning import Keep
from outrider.policy.release import load
from outrider.policy.syntax import parse
from outrider.policy.world import read_language, world_of
from tests.bench.calls import AGENT, allowed_call
from tests.bench.figures import Case
from tests.bench.policy_data import LIBRARY, library_data

DECISION_US: Final = 600
CONTROL_US: Final = 10
IDLE: Final = 40
"""How many controls are added to see what one costs."""
GOES: Final = 200
PAIR: Final = 20
_BATCH: Final = 8
_SMALL_US: Final = 100
_RULE: Final = "data.outrider.decision"
_EVENT = {
    "age_s": 3,
    "resource": "crm/search",
    "effect": "read",
    "sensitivity": "internal",
    "destination": "127.0.0.1",
    "labels": ["record"],
    "outcome": "ok",
}
_PLACE = {"host": "127.0.0.1", "zone": "internal", "first_seen": False}


def a_query(tool: str) -> dict[str, object]:
    """A query of full shape, eight recent events and all, about one of the measured calls."""
    outrider = library_data()["outrider"]
    if not isinstance(outrider, dict):
        raise TypeError("the library's data is not an object")
    agent = outrider["agents"][AGENT]
    entry = outrider["manifest"]["crm"]["tools"][tool]
    case = Case.MCP_READ if tool == "search" else Case.MCP_WRITE
    arguments = orjson.loads(allowed_call(case).body)["params"]["arguments"]
    digest = "sha256:" + "0" * 64
    marks = {
        f"/{name}": {
            "role": entry["arguments"].get(name, {}).get("role"),
            "label": "model",
            "sources": [],
            "tokens": [],
            "secrets": [],
        }
        for name in arguments
    }
    address = {"pointer": "/to", "value": "ines@acme.test", "host": "acme.test"}
    mail = [{**address, "zone": "internal", "first_seen": False}] if tool != "search" else []
    subject = {name: agent[name] for name in ("owner", "sponsor", "tier", "environment", "status")}
    return {
        "version": "outrider.input/v1",
        "subject": {
            "type": "agent",
            "id": AGENT,
            "properties": {
                **subject,
                "trust_domain": "acme.test",
                "credential": "attested-local",
                "expires_at": None,
                "instance": "start:5d1c9e2f",
            },
        },
        "action": {
            "name": "tools/call",
            "properties": {
                "protocol": "mcp",
                "phase": "request",
                "effect": entry["effect"],
                "class": "read" if entry["effect"] == "read" else "write",
                "reversible": entry["reversible"],
                "impact": entry["impact"],
                "arguments": arguments,
                "arguments_digest": digest,
                "body": "judged",
                "schema_valid": True,
                "destinations": [{"pointer": None, **_PLACE}, *mail],
                "provenance": marks,
                "provenance_incomplete": False,
            },
        },
        "resource": {
            "type": "tool",
            "id": f"crm/{tool}",
            "properties": {
                "upstream": "crm",
                "sensitivity": entry["sensitivity"],
                "owner": "team-crm",
                "declared": True,
                "tags": [],
                "tenant": None,
                "destination": {**_PLACE, "port": 8080, "ip_class": "loopback"},
                "definition": {"digest": digest, "pinned": True},
            },
        },
        "context": {
            "time": {
                "rfc3339": "2026-11-23T12:00:00Z",
                "unix_s": 1795435200,
                "weekday": "monday",
                "minute_of_day": 720,
            },
            "environment": "dev",
            "request": {
                "id": "0198a0b0-0000-7000-8000-000000000000",
                "direction": "egress",
                "method": "POST",
                "scheme": "http",
                "host": "127.0.0.1",
                "path": "/crm/mcp",
                "parsed_path": ["crm", "mcp"],
                "parsed_query": {},
                "headers": {},
            },
            "task": {
                "id": "tsk_standing",
                "state": "active",
                "standing": True,
                "purpose": agent["purpose"],
                "purpose_digest": digest,
                "principal": None,
                "template": None,
                "deadline": None,
                "grant": agent["grant"],
                "grant_revision": 1,
                "budget": {},
            },
            "behaviour": {
                "flags": {"untrusted_read": False, "sensitive_read": False, "external_send": False},
                "highest_sensitivity_read": "internal",
                "counters": {
                    "calls_60s": 8,
                    "denials_300s": 0,
                    "records_read": 0,
                    "bytes_out": {},
                    "distinct_destinations": 1,
                },
                "recent": [{"id": f"evt_{number}", **_EVENT} for number in range(8)],
                "repeats": {"same_action_60s": 1, "same_target_after_deny": False},
                "tags": {},
                "signals": {
                    "amount_target_24h": None,
                    "approval_misuse": False,
                    "beacon": None,
                    "bytes_read": 20480,
                    "consent_other_agent": False,
                    "deletes_60s": 0,
                    "denied_tools_300s": 0,
                    "distinct_subjects": 1,
                    "first_use": False,
                    "instances_60s": 1,
                    "listed": None,
                    "oscillation": 0,
                    "outside_template": False,
                    "rejected_same_3600s": 0,
                    "secret_denials": 0,
                    "secret_destinations": 0,
                    "target_age_s": None,
                },
            },
            "model_call": None,
            "delegation": {"depth": 0, "chain": [], "flags": {}, "root_principal": None},
            "approval": {"state": "none", "id": None, "approvers": []},
        },
    }


def queries() -> dict[str, bytes]:
    """A read, a write and a send cut to what policy reads, as the sidecar does: about 4 KiB."""
    modules = parse(load(LIBRARY).modules)
    keep = Keep(reads(world_of(modules, read_language(LIBRARY))))
    found = {
        "read": a_query("search"),
        "write": a_query("send_email"),
        "send": a_query("send_email"),
    }
    write = found["write"]["action"]
    if not isinstance(write, dict):
        raise TypeError("a query's action is an object")
    write["properties"] |= {"effect": "write", "reversible": True}
    return {name: orjson.dumps(keep.pruned(as_object(query))) for name, query in found.items()}


def as_object(document: dict[str, object]) -> JsonObject:
    """The document as JSON reads it."""
    found: JsonObject = orjson.loads(orjson.dumps(document))
    return found


def an_engine(more: int = 0) -> regorus.Engine:
    """The shipped library with the overlay's data, without its tests; beside it `more` controls
    whose gate lets none of the measured calls through."""
    tree = read(LIBRARY, ())
    modules = {**tree.modules, **dict(_idle(number) for number in range(more))}
    modules |= indexes(replace(tree, modules=modules))
    engine = regorus.Engine()
    for name, text in modules.items():
        engine.add_policy(name, text)
    engine.add_data_json(orjson.dumps(library_data()).decode())
    return engine


def _idle(number: int) -> tuple[str, str]:
    name = f"idle_{number}"
    text = (
        f"package outrider.controls.{name}\n\nimport data.outrider.lib\n\n"
        f'findings contains lib.finding("EF-04", "deny", "idle", {{}}) if {{\n'
        f'\tinput.resource.properties.owner == "team_{chr(97 + number % 26)}"\n'
        f'\tinput.action.properties.effect == "admin"\n}}\n'
    )
    return f"outrider/controls/{name}/{name}.rego", text


def price_us(engine: regorus.Engine, query: bytes, *, goes: int = GOES) -> float:
    """CPU of this thread for one decision: a tenth of many small batches took less, for what else
    the machine does makes this dearer."""
    text = query.decode()
    spent = []
    for _ in range(goes):
        started_ns = time.thread_time_ns()
        for _ in range(_BATCH):
            engine.set_input_json(text)
            engine.eval_rule_as_json(_RULE)
        spent.append((time.thread_time_ns() - started_ns) / _BATCH / 1000)
    return sorted(spent)[len(spent) // 10]


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One line: what was asked, the bytes of the query, and CPU in microseconds against its bar."""

    what: str
    size: int
    spent_us: float
    bar_us: float

    @property
    def is_met(self) -> bool:
        return self.spent_us <= self.bar_us


def measure(*, goes: int = GOES) -> list[Price]:
    """A decision of each kind, and what one more control adds that has nothing to say."""
    asked = queries()
    plain, fuller = an_engine(), an_engine(IDLE)
    found = [
        Price(
            what=f"a {name}, decided",
            size=len(query),
            spent_us=price_us(plain, query, goes=goes),
            bar_us=DECISION_US,
        )
        for name, query in asked.items()
    ]
    read_query = asked["read"]
    pairs = [
        price_us(fuller, read_query, goes=PAIR) - price_us(plain, read_query, goes=PAIR)
        for _ in range(max(3, goes // PAIR))
    ]
    idle = max(0.0, median(pairs) / IDLE)
    return [
        *found,
        Price(what="one control behind a closed gate", size=len(read_query), spent_us=idle,
              bar_us=CONTROL_US),
    ]  # fmt: skip


def write_json(prices: Sequence[Price], path: Path) -> None:
    rows = [{**asdict(price), "met": price.is_met} for price in prices]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2))


def print_report(
    prices: Sequence[Price], console: Console, *, title: str, notes: Mapping[str, str]
) -> None:
    """Print prices against their bars."""
    table = Table(title=title)
    table.add_column("what")
    for name in ("bytes", "µs", "at most", ""):
        table.add_column(name, justify="right")
    for price in prices:
        word = "[green]met[/]" if price.is_met else "[red]missed[/]"
        spent = f"{price.spent_us:.1f}" if price.spent_us < _SMALL_US else f"{price.spent_us:.0f}"
        table.add_row(price.what, str(price.size), spent, f"{price.bar_us:.0f}", word)
    console.print(table)
    for name, words in notes.items():
        console.print(f"[dim]{name}: {words}[/]", highlight=False)


def main() -> None:
    """Print the prices; with a file name as argument, also write the queries beside it."""
    print_report(measure(), Console(), title="The library in regorus, CPU by itself", notes={})
    if len(sys.argv) > 1:
        for name, query in queries().items():
            Path(f"{sys.argv[1]}.{name}.json").write_bytes(query)


if __name__ == "__main__":
    main()
