"""The closed sets of the MCP specifications that the adapter keeps to (PROTOCOLS §4.1, §4.3).

The method maps are held equal to `mcp_types.methods` by a test; they stand here so that a sidecar
need not import its models.
"""

from enum import StrEnum
from typing import Final

from outrider.core.vocabulary import ActionEffect, ResourceType

HEADER_MISMATCH: Final = -32020
UNSUPPORTED_VERSION: Final = -32022
URL_ELICITATION_REQUIRED: Final = -32042

META_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
META_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
META_CLIENT: Final = "io.modelcontextprotocol/clientInfo"
META_LOG_LEVEL: Final = "io.modelcontextprotocol/logLevel"
META_SUBSCRIPTION: Final = "io.modelcontextprotocol/subscriptionId"
META_RELATED_TASK: Final = "io.modelcontextprotocol/related-task"
TASKS_EXTENSION: Final = "io.modelcontextprotocol/tasks"
META_TASK: Final = "dev.outrider/task"
META_DECISION: Final = "dev.outrider/decision"
OWN_META: Final = "dev.outrider/"

JSON: Final = "application/json"
SSE: Final = "text/event-stream"


class Era(StrEnum):
    """Legacy is spoken after `initialize`, modern describes itself in every request."""

    LEGACY = "legacy"
    MODERN = "modern"


MODERN_VERSIONS: Final = ("2026-07-28",)
LEGACY_VERSIONS: Final = ("2025-03-26", "2025-06-18", "2025-11-25")
DEFAULT_LEGACY: Final = "2025-03-26"
_ALL: Final = frozenset((*LEGACY_VERSIONS, *MODERN_VERSIONS))
_LEGACY: Final = frozenset(LEGACY_VERSIONS)
_MODERN: Final = frozenset(MODERN_VERSIONS)
_TASKS: Final = frozenset({"2025-11-25"})

CLIENT_REQUESTS: Final = {
    "initialize": _LEGACY,
    "server/discover": _MODERN,
    "ping": _LEGACY,
    "logging/setLevel": _LEGACY,
    "tools/list": _ALL,
    "prompts/list": _ALL,
    "resources/list": _ALL,
    "resources/templates/list": _ALL,
    "tools/call": _ALL,
    "resources/read": _ALL,
    "resources/subscribe": _LEGACY,
    "resources/unsubscribe": _LEGACY,
    "subscriptions/listen": _MODERN,
    "prompts/get": _ALL,
    "completion/complete": _ALL,
    "tasks/get": _TASKS | _MODERN,
    "tasks/result": _TASKS,
    "tasks/list": _TASKS,
    "tasks/cancel": _TASKS | _MODERN,
    "tasks/update": _MODERN,
}
CLIENT_NOTIFICATIONS: Final = {
    "notifications/cancelled": _ALL,
    "notifications/initialized": _LEGACY,
    "notifications/progress": _LEGACY,
    "notifications/roots/list_changed": _LEGACY,
}
SERVER_REQUESTS: Final = {
    "ping": _LEGACY,
    "roots/list": _LEGACY,
    "sampling/createMessage": _LEGACY,
    "elicitation/create": frozenset({"2025-06-18", "2025-11-25"}),
}
SERVER_NOTIFICATIONS: Final = {
    "notifications/cancelled": _ALL,
    "notifications/message": _ALL,
    "notifications/progress": _ALL,
    "notifications/prompts/list_changed": _ALL,
    "notifications/resources/list_changed": _ALL,
    "notifications/resources/updated": _ALL,
    "notifications/tools/list_changed": _ALL,
    "notifications/elicitation/complete": _TASKS,
    "notifications/tasks/status": _TASKS,
    "notifications/subscriptions/acknowledged": _MODERN,
    "notifications/tasks": _MODERN,
}

_NONE: Final = frozenset({"_meta"})
_CALL: Final = _NONE | {"name", "arguments"}
_PAGE: Final = _NONE | {"cursor"}
_URI: Final = _NONE | {"uri"}
_TASK_ID: Final = _NONE | {"taskId"}
_INPUT: Final = frozenset({"inputResponses", "requestState"})
# The members that params may have: what is in none of these sets would leave unjudged.
PARAMS_OF: Final = {
    "initialize": _NONE | {"protocolVersion", "capabilities", "clientInfo"},
    "server/discover": _NONE,
    "ping": _NONE,
    "logging/setLevel": _NONE | {"level"},
    "tools/list": _PAGE,
    "prompts/list": _PAGE,
    "resources/list": _PAGE,
    "resources/templates/list": _PAGE,
    "tools/call": _CALL,
    "resources/read": _URI,
    "resources/subscribe": _URI,
    "resources/unsubscribe": _URI,
    "subscriptions/listen": _NONE | {"notifications"},
    "prompts/get": _CALL,
    "completion/complete": _NONE | {"ref", "argument", "context"},
    "tasks/get": _TASK_ID,
    "tasks/result": _TASK_ID,
    "tasks/list": _PAGE,
    "tasks/cancel": _TASK_ID,
    "tasks/update": _TASK_ID | {"inputResponses"},
    "notifications/cancelled": _NONE | {"requestId", "reason"},
    "notifications/initialized": _NONE,
    "notifications/progress": _NONE | {"progressToken", "progress", "total", "message"},
    "notifications/roots/list_changed": _NONE,
}
# What one wire adds to them: inputs are judged on the modern one alone.
PARAMS_LEGACY: Final = {"tools/call": frozenset({"task"})}
PARAMS_MODERN: Final = dict.fromkeys(
    ("tools/call", "prompts/get", "resources/read", "tasks/get"), _INPUT
)
TASK_MEMBERS: Final = frozenset({"ttl"})
REF_MEMBERS: Final = {
    "ref/prompt": frozenset({"type", "name", "title"}),
    "ref/resource": frozenset({"type", "uri"}),
}

# What every caller of an upstream needs, with the effect PROTOCOLS §4.3 gives it.
PLUMBING: Final = {
    "initialize": ActionEffect.READ,
    "server/discover": ActionEffect.READ,
    "ping": ActionEffect.READ,
    "logging/setLevel": ActionEffect.READ,
    "tools/list": ActionEffect.READ,
    "prompts/list": ActionEffect.READ,
    "resources/list": ActionEffect.READ,
    "resources/templates/list": ActionEffect.READ,
    "tasks/list": ActionEffect.READ,
    "notifications/cancelled": ActionEffect.WRITE,
    "notifications/initialized": ActionEffect.READ,
    "notifications/progress": ActionEffect.READ,
    "notifications/roots/list_changed": ActionEffect.READ,
}

# What a server may ask of the agent, as actions of the agent.
SERVER_ASKS: Final = {
    "sampling/createMessage": ActionEffect.EXECUTE,
    "elicitation/create": ActionEffect.SHARE,
    "roots/list": ActionEffect.SHARE,
}
_RESULT: Final = frozenset({"_meta", "resultType"})
# An answer within `inputResponses` does not say what it answers: the member that only it must
# have, and all that it may have. Policy would else judge what the agent says that it is.
INPUT_SHAPES: Final = {
    "roots/list": ("roots", _RESULT | {"roots"}),
    "sampling/createMessage": ("model", _RESULT | {"model", "role", "content", "stopReason"}),
    "elicitation/create": ("action", _RESULT | {"action", "content"}),
}
# The capability by which a client says that it can be asked.
CAPABILITY_OF: Final = {
    "sampling": "sampling/createMessage",
    "elicitation": "elicitation/create",
    "roots": "roots/list",
}

# Header `Mcp-Name` mirrors this member of params.
NAME_MEMBER: Final = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
# Where a task's method has an effect of its own; else it has the call's.
TASK_EFFECTS: Final = {
    "tasks/get": ActionEffect.READ,
    "tasks/result": ActionEffect.READ,
    "tasks/cancel": ActionEffect.WRITE,
}
TASK_METHODS: Final = frozenset({"tasks/get", "tasks/result", "tasks/cancel", "tasks/update"})
INPUT_METHODS: Final = frozenset({"tools/call", "prompts/get", "resources/read", "tasks/get"})
CACHEABLE: Final = frozenset(
    {
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "server/discover",
    }
)

ENVELOPE_KEYS: Final = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})
PARAM_KEYS: Final = frozenset(
    {
        "_meta",
        "name",
        "arguments",
        "uri",
        "cursor",
        "ref",
        "argument",
        "context",
        "level",
        "protocolVersion",
        "capabilities",
        "clientInfo",
        "task",
        "taskId",
        "requestState",
        "inputResponses",
        "requestId",
        "reason",
        "progressToken",
        "progress",
        "total",
        "message",
        "notifications",
    }
)
META_KEYS: Final = frozenset(
    {
        "progressToken",
        META_VERSION,
        META_CAPABILITIES,
        META_CLIENT,
        META_LOG_LEVEL,
        META_SUBSCRIPTION,
        META_RELATED_TASK,
        META_TASK,
        META_DECISION,
        "traceparent",
        "tracestate",
        "baggage",
    }
)


class Listing(StrEnum):
    """A list method's member in its result, and the kind of pin its items have."""

    TOOLS = "tools"
    PROMPTS = "prompts"
    RESOURCES = "resources"
    TEMPLATES = "resourceTemplates"


LISTING_OF: Final = {
    "tools/list": Listing.TOOLS,
    "prompts/list": Listing.PROMPTS,
    "resources/list": Listing.RESOURCES,
    "resources/templates/list": Listing.TEMPLATES,
}
# Which list must have been seen before a name may be used, and the method that gives it.
NEEDS_LIST: Final = {"tools/call": Listing.TOOLS, "prompts/get": Listing.PROMPTS}
METHOD_OF: Final = {listing: method for method, listing in LISTING_OF.items()}
# What a listen request may ask to be told of, and the list that the news is about.
LIST_FLAGS: Final = {
    "toolsListChanged": "tools/list",
    "promptsListChanged": "prompts/list",
    "resourcesListChanged": "resources/list",
}
# How an item of a list is judged: by the action it offers.
OFFERS: Final = {
    Listing.TOOLS: ("tools/call", ResourceType.TOOL, "name"),
    Listing.PROMPTS: ("prompts/get", ResourceType.PROMPT, "name"),
    Listing.RESOURCES: ("resources/read", ResourceType.RESOURCE, "uri"),
    Listing.TEMPLATES: ("resources/read", ResourceType.RESOURCE, "uriTemplate"),
}
