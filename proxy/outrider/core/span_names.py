"""Names of spans and of their attributes, in one place.

From OpenTelemetry's `semantic-conventions` 1.43 and `semantic-conventions-genai` as of 2026-11
(status Development, so that names may move: they are changed here and nowhere else), and our own
under `outrider.`.

Of the conventions' names two are not said as they stand. `mcp.session.id` is left out: at some
upstreams whoever knows a session's id may speak in it, so that it is a bearer secret. Of
`mcp.resource.uri` only the origin is said, and that of declared resources alone: the path and the
query of a URI may carry anything out, and an undeclared one is its caller's choice.
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
RESOURCE_URI: Final = "mcp.resource.uri"
JSONRPC_ID: Final = "jsonrpc.request.id"
RPC_STATUS: Final = "rpc.response.status_code"
OPERATION: Final = "gen_ai.operation.name"
TOOL: Final = "gen_ai.tool.name"
EXECUTE_TOOL: Final = "execute_tool"
TOOL_ERROR: Final = "tool_error"
"""A tool's own result says `isError`."""
RPC_ERROR: Final = "rpc_error"
"""The answer is an error of JSON-RPC; its number stands beside it."""
OTHER: Final = "other"
"""What stands for a name that the manifest does not have: a caller may choose it."""
