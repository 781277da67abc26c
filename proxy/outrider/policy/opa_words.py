"""What is wrong with the OPA that is asked, for whoever is to mend it: what was seen, what to do.

Law: of what OPA sends, only revisions stand in the words, cut and plain.
"""

import re
from typing import Final

from outrider.core.ports import Failed, Raw
from outrider.core.vocabulary import Reason
from outrider.policy.opa_door import UNPROVEN
from outrider.policy.opa_reply import ANSWERED

SILENCE: Final = frozenset({Reason.POLICY_UNAVAILABLE, Reason.POLICY_TIMEOUT})
_LONGEST: Final = 80
_ODD: Final = re.compile(r"[^A-Za-z0-9+._:/-]")


def fault_in_words(fault: Failed, where: str) -> str:
    """Why OPA at `where` gives nobody a decision."""
    if fault is UNPROVEN:
        return f"OPA at {where} is not reached: {fault.detail}; the log names the handshake's fault"
    if fault.code in SILENCE and not fault.detail.startswith(ANSWERED):
        return f"nothing answers at {where}: {fault.detail}"
    return f"at {where}: {fault.detail}"


def answer_in_words(raw: Raw, revision: str, where: str) -> str:
    """Why what OPA at `where` answered is no sign that it has the policy of `revision`."""
    if isinstance(raw, Failed):
        return fault_in_words(raw, where)
    return f"at {where}: {stale_in_words(raw.meta.revision, revision)}"


def stale_in_words(named: str | None, revision: str) -> str:
    """An answer under `named`, where that is not `revision`, ours."""
    if named is None:
        return (
            f"OPA answers and names no revision, ours is {revision}; "
            "see that it has one bundle, built from the policy we have"
        )
    shown = _ODD.sub("?", named[:_LONGEST])
    return f"OPA answers under revision {shown}, ours is {revision}; give both the same policy"
