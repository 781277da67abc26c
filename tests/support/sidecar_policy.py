"""Small policy trees for a sidecar under test: rules, agents, manifests, as files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
import yaml

from outrider.core.jsonvalue import Json, JsonObject
from tests.support.policy import write_tree

AGENT: Final = "spiffe://acme.test/ns/support/sa/triage"
OTHER: Final = "spiffe://acme.test/ns/support/sa/other"
Files: TypeAlias = Mapping[str, str | bytes | JsonObject]

REFUSING: Final = """package outrider

# METADATA
# entrypoint: true
default decision := {"effect": "deny"}

_refused if {
	not input.action.properties.phase == "list"
	input.resource.id in data.outrider.testing.refused
}

_hidden if input.resource.id in data.outrider.testing.hidden

decision := {"effect": "allow"} if {
	not _refused
	not _hidden
} else := {
	"effect": "deny",
	"reasons": [{"code": "T-01", "message": "refused by the test's rule", "severity": "low"}],
}
"""
"""Allows everything but the resources named in `data.outrider.testing`."""


def an_agent(**grant: Json) -> JsonObject:
    """An agent whose standing grant covers both upstreams, `grant` laid over it."""
    return {
        "owner": "team-support",
        "sponsor": "alice@acme.test",
        "tier": "standard",
        "environment": "dev",
        "status": "active",
        "purpose": "answer tickets",
        "grant": {
            "tools": ["crm/*", "desk/*", "other/*"],
            "effects": ["read", "write", "send", "share", "pay", "delete", "admin", "execute"],
            "destinations": ["*"],
            "sensitivity": "secret",
            **grant,
        },
    }


def an_upstream_entry(**named: Json) -> JsonObject:
    return {
        "owner": "team-crm",
        "destination": {"zone": "internal"},
        "default": {"effect": "execute", "sensitivity": "internal"},
        **named,
    }


def an_operation(effect: str = "read", **more: Json) -> JsonObject:
    return {
        "effect": effect,
        "reversible": True,
        "impact": "low",
        "sensitivity": "internal",
        **more,
    }


CRM: Final = an_upstream_entry(
    tools={
        "echo": an_operation(),
        "search": an_operation(),
        "update": an_operation("write"),
        "send": an_operation("send"),
    }
)
DESK: Final = an_upstream_entry(
    operations={
        "GET /tickets": an_operation(),
        "GET /tickets/{id}": an_operation(),
        "POST /tickets": an_operation("write"),
        "POST /search": an_operation(),
    }
)


def a_policy(rego: str = REFUSING, **changes: Any) -> dict[str, str | JsonObject]:
    """A small tree: rules, two agents, two manifests. `refused` and `hidden` name resources."""
    testing: JsonObject = {
        "refused": list(changes.pop("refused", ())),
        "hidden": list(changes.pop("hidden", ())),
    }
    files: dict[str, str | JsonObject] = {
        "outrider/main.rego": rego,
        "outrider/testing/data.yaml": testing,
        "outrider/agents/data.yaml": changes.pop("agents", {AGENT: an_agent(), OTHER: an_agent()}),
        "outrider/manifest/crm/data.yaml": changes.pop("crm", CRM),
        "outrider/manifest/desk/data.yaml": changes.pop("desk", DESK),
    }
    assert not changes, changes
    return files


def write_policy(root: Path, files: Files) -> Path:
    """Documents become YAML; texts are written as they are."""
    return write_tree(
        root,
        {
            name: content if isinstance(content, str | bytes) else yaml.safe_dump(dict(content))
            for name, content in files.items()
        },
    )


ENGINES: Final = ["embedded", pytest.param("opa", marks=pytest.mark.opa)]
"""For tests that hold on either engine."""
