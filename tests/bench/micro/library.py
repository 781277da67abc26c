"""`python -m tests.bench.micro.library`: what one decision of the shipped Rego costs in process.

The engine is used as the embedded leg uses it, without anything of ours around it: input set from
JSON text, one rule evaluated, the answer taken as JSON text.
"""

import sys
import time
from statistics import median

import orjson
import regorus

from tests.bench.calls import AGENT, allowed_call
from tests.bench.figures import Case
from tests.bench.policy_data import LIBRARY, library_data

_RULE = "data.outrider.decision"
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
                    "secret_destinations": 0,
                    "target_age_s": None,
                },
            },
            "model_call": None,
            "delegation": {"depth": 0, "chain": [], "flags": {}, "root_principal": None},
            "approval": {"state": "none", "id": None, "approvers": []},
        },
    }


def an_engine() -> regorus.Engine:
    """The shipped library with the overlay's data, without its tests."""
    engine = regorus.Engine()
    for path in sorted((LIBRARY / "outrider").rglob("*.rego")):
        if not path.name.endswith("_test.rego"):
            engine.add_policy(str(path.relative_to(LIBRARY)), path.read_text())
    engine.add_data_json(orjson.dumps(library_data()).decode())
    return engine


def price_us(engine: regorus.Engine, query: str, *, count: int = 400) -> float:
    """CPU of this thread for one decision, the median of five goes."""
    goes = []
    for _ in range(5):
        started_ns = time.thread_time_ns()
        for _ in range(count):
            engine.set_input_json(query)
            engine.eval_rule_as_json(_RULE)
        goes.append((time.thread_time_ns() - started_ns) / count / 1000)
    return median(goes)


def main() -> None:
    """Print one line a tool; with a file name as argument, also write its query there."""
    engine = an_engine()
    for tool in ("search", "send_email"):
        query = orjson.dumps(a_query(tool))
        engine.set_input_json(query.decode())
        answer = orjson.loads(engine.eval_rule_as_json(_RULE))
        spent = price_us(engine, query.decode())
        sys.stdout.write(
            f"{tool}: {len(query)} bytes, {answer['effect']}, {spent:.0f} us a decision\n"
        )
        if len(sys.argv) > 1:
            with open(f"{sys.argv[1]}.{tool}.json", "wb") as file:  # noqa: PTH123
                file.write(query)


if __name__ == "__main__":
    main()
