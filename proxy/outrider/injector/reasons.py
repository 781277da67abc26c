"""What a pod is answered: five outcomes, and a closed set of reasons that is a metric label too."""

from enum import StrEnum


class Outcome(StrEnum):
    INJECTED = "injected"
    UNCHANGED = "unchanged"
    """Injected already, or never ours to inject: nothing is patched."""
    SKIPPED = "skipped"
    """Opted out, where the platform accepts that."""
    DENIED = "denied"
    ERROR = "error"


class Reason(StrEnum):
    OK = "ok"
    OPTED_OUT = "opted_out"
    OPT_OUT_NOT_ACCEPTED = "opt_out_not_accepted"
    INVALID_VALUE = "invalid_value"
    BAD_ANNOTATION = "bad_annotation"
    GUARDED_ANNOTATION = "guarded_annotation"
    HOST_NAMESPACE = "host_namespace"
    UNSUPPORTED_OS = "unsupported_os"
    RESERVED_NAME = "reserved_name"
    RESERVED_UID = "reserved_uid"
    CAPABILITY = "capability"
    RESERVED_MOUNT = "reserved_mount"
    AGENT_SECRET = "agent_secret"  # noqa: S105 - a reason
    PORT_CONFLICT = "port_conflict"
    PROXY_ENV_CONFLICT = "proxy_env_conflict"
    DNS_UNKNOWN = "dns_unknown"
    MALFORMED = "malformed"
    INTERNAL = "internal"


class DeniedError(Exception):
    """A pod that is refused: why, and a sentence that names the field at fault."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
