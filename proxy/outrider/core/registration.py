"""What policy is asked of a task that somebody wants to register: `tasks/create` (POLICY §1)."""

from dataclasses import dataclass

from outrider.core.jsonvalue import JsonObject
from outrider.core.task import BoundTask


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: `control:operator` with the operator's token, or an agent by its SPIFFE ID."""

    id: str
    type: str
    trust_domain: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One registration. `arguments` are as policy sees them: `purpose, purpose_digest,
    anchors_digest, template, principal, tenant, agent, parent, parent_agent, life_s, asked,
    granted` (what is asked, as far as template and parent reach) and `exceeds` (where it leaves
    the template's grant; `template` where there is neither template nor parent)."""

    caller: Caller
    agent: str
    arguments: JsonObject
    parent: BoundTask | None = None
