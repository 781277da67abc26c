"""The policy data of the governed legs: one agent, its grant, two upstreams, the same on each."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.bench.calls import AGENT

LIBRARY = Path(__file__).resolve().parents[2] / "rego"


def _agent() -> dict[str, object]:
    grant = {
        "tools": ["crm/*", "desk/*"],
        "effects": ["read", "send"],
        "destinations": ["127.0.0.1", "acme.test"],
        "sensitivity": "confidential",
        "arguments": {
            "desk/POST /tickets/search": {
                "/status": {"in": ["open", "pending"]},
                "/q": {"max_length": 4096},
                "/limit": {"max": 100},
            }
        },
    }
    return {
        "owner": "team-support",
        "sponsor": "alice@acme.test",
        "escalation": "support-leads",
        "class": "internal",
        "tier": "standard",
        "environment": "dev",
        "status": "active",
        "purpose": "answer customers",
        "review_by": "2099-01-01",
        "grant": grant,
    }


def _upstream(**named: object) -> dict[str, object]:
    return {
        "owner": "team-crm",
        "destination": {"zone": "internal"},
        "default": {"effect": "execute", "sensitivity": "confidential"},
        **named,
    }


def overlay() -> dict[str, Mapping[str, object]]:
    """What is laid over the shipped library: path below the overlay's root -> document."""
    words = {"q": {"role": "content"}, "limit": {"role": "control"}}
    letter = {
        "to": {"role": "destination", "type": "email"},
        "subject": {"role": "content"},
        "body": {"role": "content"},
    }
    read = {"effect": "read", "reversible": True, "impact": "low", "sensitivity": "internal"}
    send = {"effect": "send", "reversible": False, "impact": "low", "sensitivity": "internal"}
    tools = {"search": {**read, "arguments": words}, "send_email": {**send, "arguments": letter}}
    search = {**read, "arguments": {**words, "status": {"role": "selector"}}}
    return {
        "outrider/agents/data.yaml": {AGENT: _agent()},
        "outrider/manifest/crm/data.yaml": _upstream(tools=tools),
        "outrider/manifest/desk/data.yaml": _upstream(operations={"POST /tickets/search": search}),
    }


def library_data() -> dict[str, object]:
    """The shipped library's data with the overlay in it, as one document."""
    whole: dict[str, object] = {}
    for path in sorted((LIBRARY / "outrider").rglob("data.yaml")):
        document = yaml.safe_load(path.read_text()) or {}
        _lay(whole, path.parent.relative_to(LIBRARY).parts, document)
    for name, document in overlay().items():
        _lay(whole, Path(name).parent.parts, document)
    return whole


def _lay(whole: dict[str, object], place: tuple[str, ...], document: Mapping[str, object]) -> None:
    """Put a document where its folder says; keys that are there already are kept unless named."""
    for part in place:
        below = whole.setdefault(part, {})
        if not isinstance(below, dict):
            raise TypeError(f"{part} in {place} is not an object")
        whole = below
    whole.update(document)
