"""From a decision id to its explanation: the record, the input it was judged on, the release."""

from pathlib import Path

from outrider.audit.inputs import read_input
from outrider.audit.reader import find_decision
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import JsonObject
from outrider.core.secret import Secret
from outrider.policy.explain import explain_record
from outrider.policy.release import Release


def explain_decision(
    *, directory: Path, key: Secret, release: Release, entrypoint: str, decision_id: str
) -> JsonObject:
    """Why the decision was made, and what would change it. Blocking.

    Raises `ConfigError` where no such decision is on the chain.
    """
    record = find_decision(directory, decision_id)
    if record is None:
        raise ConfigError(f"no decision {decision_id} is on the chain in {directory}")
    query = read_input(directory / "inputs", key, decision_id)
    return explain_record(record, query, release, entrypoint)
