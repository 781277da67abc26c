"""The load gate of the library that ships, over small modules."""

from outrider.config.paths import shipped_rego
from outrider.core.jsonvalue import JsonObject
from outrider.policy.gate import shipped_gate
from tests.support.policy import ENTRYPOINT, a_release

GATE = shipped_gate(shipped_rego(), ENTRYPOINT)
HEAD = 'package outrider\n\ndefault decision := {"effect": "deny"}\n\n'


def gated(text: str, data: JsonObject | None = None) -> list[tuple[str, int]]:
    """Check and line of each problem of a module whose rules begin on line 5."""
    problems = GATE.problems(a_release(HEAD + text, data))
    return [(problem.check, problem.line) for problem in problems]
