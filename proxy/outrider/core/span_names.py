"""Names of spans and of their attributes, in one place.

From OpenTelemetry's `semantic-conventions` 1.43 and `semantic-conventions-genai` as of 2026-11
(status Development, so that names may move: they are changed here and nowhere else), and our own
under `outrider.`.
"""

from typing import Final

DECIDE: Final = "outrider.decide"
LEASE: Final = "outrider.lease"

DECISION_ID: Final = "outrider.decision.id"
DECISION_EFFECT: Final = "outrider.decision.effect"
DECISION_REASON: Final = "outrider.decision.reason"
DECISION_REVISION: Final = "outrider.decision.revision"
DECISION_ENGINE: Final = "outrider.decision.engine"
EXCHANGE_ID: Final = "outrider.exchange.id"
DIRECTION: Final = "outrider.direction"
OUTCOME: Final = "outrider.outcome"
UPSTREAM: Final = "outrider.upstream"
LEASE_PROVIDER: Final = "outrider.lease.provider"

ERROR_TYPE: Final = "error.type"
HTTP_METHOD: Final = "http.request.method"
HTTP_STATUS: Final = "http.response.status_code"
NETWORK_TRANSPORT: Final = "network.transport"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
MCP_METHOD: Final = "mcp.method.name"
MCP_VERSION: Final = "mcp.protocol.version"
JSONRPC_ID: Final = "jsonrpc.request.id"
OPERATION: Final = "gen_ai.operation.name"
TOOL: Final = "gen_ai.tool.name"
EXECUTE_TOOL: Final = "execute_tool"
OTHER: Final = "other"
"""What stands for a name that the manifest does not have: a caller may choose it."""
