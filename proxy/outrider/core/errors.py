"""What can go wrong on an exchange, each with the reason it is refused for."""

from outrider.core.vocabulary import Reason


def is_panic(fault: BaseException) -> bool:
    """Whether a Rust extension panicked: pyo3's own exception, which is no `Exception` and cannot
    be imported."""
    return type(fault).__name__ == "PanicException"


class OutriderError(Exception):
    """Base of everything raised on purpose."""


class ConfigError(OutriderError):
    """Settings, policy or data that cannot be used; the text names key, value and the remedy."""


class EnforcementError(OutriderError):
    """An exchange that is refused. `detail` is a fixed sentence of ours, never the caller's text.

    `code` is a protocol's own finer error (a JSON-RPC number), `status` a finer HTTP status and
    `cause` the closed name of the rule that refused; each is None where the table of answers has
    the last word. `pointer` is a JSON pointer into the arguments; `data` are members a protocol's
    error carries. `resource` is the `<upstream>/<name>` that was asked for, for the record alone.
    `close` asks for the connection to end after the answer.
    """

    reason: Reason = Reason.INTERNAL

    def __init__(  # noqa: PLR0913 - one keyword for each thing a refusal may say
        self,
        detail: str,
        *,
        reason: Reason | None = None,
        code: int | None = None,
        status: int | None = None,
        cause: str | None = None,
        pointer: str | None = None,
        allow_methods: tuple[str, ...] = (),
        close: bool = False,
        resource: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.allow_methods = allow_methods
        self.close = close
        self.resource = resource
        self.reason = reason or type(self).reason
        self.detail = detail
        self.code = code
        self.status = status
        self.cause = cause
        self.pointer = pointer


class MalformedError(EnforcementError):
    """What was received cannot be read whole, or can be read in two ways."""

    reason = Reason.MALFORMED


class TooLargeError(EnforcementError):
    reason = Reason.TOO_LARGE

    def __init__(
        self, limit_bytes: int, *, cause: str = "body", status: int | None = None, remedy: str = ""
    ) -> None:
        """`remedy` names the limit's key and what to do about it."""
        detail = f"larger than the limit of {limit_bytes} bytes"
        super().__init__(f"{detail}: {remedy}" if remedy else detail, cause=cause, status=status)
        self.limit_bytes = limit_bytes


class UnrecognisedError(EnforcementError):
    """No upstream, method or operation that the settings and the manifest know."""

    reason = Reason.UNRECOGNISED


class UnauthenticatedError(EnforcementError):
    reason = Reason.UNAUTHENTICATED


class OverloadError(EnforcementError):
    reason = Reason.OVERLOAD


class SlowClientError(EnforcementError):
    reason = Reason.SLOW_CLIENT


class UpstreamUnavailableError(EnforcementError):
    """Nothing was written to the upstream."""

    reason = Reason.UPSTREAM_UNAVAILABLE


class UpstreamFailedError(EnforcementError):
    """Bytes had left; whether the upstream acted is unknown."""

    reason = Reason.UPSTREAM_ERROR


class AuditUnavailableError(EnforcementError):
    reason = Reason.AUDIT_UNAVAILABLE


class StoreUnavailableError(EnforcementError):
    reason = Reason.STORE_UNAVAILABLE


class ObligationError(EnforcementError):
    reason = Reason.OBLIGATION


class CredentialUnavailableError(EnforcementError):
    reason = Reason.CREDENTIAL_UNAVAILABLE
