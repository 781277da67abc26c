"""The grant algebra: what a task may do at most, and what is provably narrower (GOVERNANCE §2)."""

from dataclasses import dataclass

from outrider.core.jsonvalue import JsonObject
from outrider.core.vocabulary import ActionEffect, Sensitivity


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a task may do at most. Absent sets grant nothing; `document` is the grant as written."""

    tools: tuple[str, ...]
    effects: frozenset[ActionEffect]
    destinations: tuple[str, ...]
    arguments: JsonObject
    sensitivity: Sensitivity
    not_before_unix_s: float | None
    expires_unix_s: float | None
    document: JsonObject
