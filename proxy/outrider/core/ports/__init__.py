"""The seams: what the pipeline needs of others, each at most four methods (STYLE rule 18).

Every port has a working fake in tests/support and one contract suite for all implementations.
A module an area; whoever needs a port takes it from here.
"""

from outrider.core.ports.adapter import Adapter, BodyNeed, Document, Inbound, Refused, Route
from outrider.core.ports.audit import AuditLog
from outrider.core.ports.conversation import (
    Conversation,
    Edits,
    OptionalAsks,
    Prelude,
    Traced,
    optional_of,
    prelude_of,
    traced_of,
    waiting_of,
)
from outrider.core.ports.credentials import CredentialProvider, CredentialRequest, Lease
from outrider.core.ports.identity import Identifier, TokenSigner
from outrider.core.ports.policy import (
    ActivePolicy,
    AgentEntry,
    ApprovalFacts,
    Decider,
    Defined,
    Engine,
    Failed,
    Judged,
    Meta,
    Question,
    Raw,
    Snapshot,
    TaskJudge,
    Undefined,
)
from outrider.core.ports.process import Clock, Jobs, Slots
from outrider.core.ports.stores import MANY_KEYS, Held, States, Store
from outrider.core.ports.tasks import Books, Care, OwnTasks, Page, Quarantine, TaskBinder, TaskNames
from outrider.core.ports.telemetry import Metrics, Tracer
from outrider.core.ports.upstream import Incoming, Upstream, carried_of, duplex_of, proven_of
from outrider.core.ports.watcher import (
    Emit,
    Judge,
    Learn,
    Note,
    Persist,
    Step,
    Watcher,
    news_of,
    opening_of,
)

__all__ = [
    "MANY_KEYS",
    "ActivePolicy",
    "Adapter",
    "AgentEntry",
    "ApprovalFacts",
    "AuditLog",
    "BodyNeed",
    "Books",
    "Care",
    "Clock",
    "Conversation",
    "CredentialProvider",
    "CredentialRequest",
    "Decider",
    "Defined",
    "Document",
    "Edits",
    "Emit",
    "Engine",
    "Failed",
    "Held",
    "Identifier",
    "Inbound",
    "Incoming",
    "Jobs",
    "Judge",
    "Judged",
    "Learn",
    "Lease",
    "Meta",
    "Metrics",
    "Note",
    "OptionalAsks",
    "OwnTasks",
    "Page",
    "Persist",
    "Prelude",
    "Quarantine",
    "Question",
    "Raw",
    "Refused",
    "Route",
    "Slots",
    "Snapshot",
    "States",
    "Step",
    "Store",
    "TaskBinder",
    "TaskJudge",
    "TaskNames",
    "TokenSigner",
    "Traced",
    "Tracer",
    "Undefined",
    "Upstream",
    "Watcher",
    "carried_of",
    "duplex_of",
    "news_of",
    "opening_of",
    "optional_of",
    "prelude_of",
    "proven_of",
    "traced_of",
    "waiting_of",
]
