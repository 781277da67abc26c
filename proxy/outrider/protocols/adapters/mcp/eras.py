"""Which era a request belongs to, and whether its envelope keeps that era's rules.

The order of the checks is PROTOCOLS §4.2; the numbers stand at the code.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from outrider.core.errors import EnforcementError, MalformedError, UnrecognisedError
from outrider.core.exchange import RequestHead
from outrider.core.jsonvalue import JsonObject, as_object
from outrider.protocols.adapters.mcp import spec
from outrider.protocols.adapters.mcp.headers import (
    accepts_both,
    accepts_stream,
    decode,
    is_json,
    mismatch,
)
from outrider.protocols.adapters.mcp.spec import Era
from outrider.protocols.wire.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    Kind,
    Message,
    refuse_lookalikes,
)

VERSION_FIELD: Final = "mcp-protocol-version"
_ORDER: Final = (*spec.LEGACY_VERSIONS, *spec.MODERN_VERSIONS)
_NO_PARAMS: Final[JsonObject] = {}


_REQUEST: Final = Kind.REQUEST
_NOTIFICATION: Final = Kind.NOTIFICATION
_RESPONSE: Final = Kind.RESPONSE
_LEGACY: Final = Era.LEGACY
_MODERN: Final = Era.MODERN


class Spoken(NamedTuple):
    """The era and version of one request, and its params (empty where it has none)."""

    era: Era
    version: str
    params: JsonObject


def allowed_methods(head: RequestHead, min_version: str) -> tuple[str, ...]:
    """The HTTP methods of the endpoint as this caller speaks to it."""
    if is_modern_version(head.header(VERSION_FIELD)) or is_modern_version(min_version):
        return ("POST",)
    return ("GET", "POST", "DELETE")


def check_head(head: RequestHead, min_version: str) -> None:
    """Refuse a head that no era takes, before any body is read."""
    if head.method == "POST":  # 1; taken in every era
        _check_post(head)
        return
    allowed = allowed_methods(head, min_version)
    if head.method not in allowed:
        raise MalformedError(
            "this method is not taken here", status=405, cause="method", allow_methods=allowed
        )
    if head.method == "GET" and not accepts_stream(head.header("accept")):
        raise MalformedError("Accept must name event streams", status=406, cause="accept")


def _check_post(head: RequestHead) -> None:
    content = accept = None
    for name, value in head.headers:
        if name == "content-type":
            content = value
        elif name == "accept":
            accept = value
    if not is_json(content):
        raise MalformedError("the body must be JSON", status=415, cause="content_type")
    if not accepts_both(accept):
        raise MalformedError("Accept must name JSON and event streams", status=406, cause="accept")


def settle(message: Message, fields: Mapping[str, str], min_version: str) -> Spoken:
    """The one era of a POST. Raises `EnforcementError` where it has none or breaks its rules."""
    params = _params(message)
    meta = params.get("_meta")
    sent = fields.get(VERSION_FIELD)
    claimed = meta.get(spec.META_VERSION) if isinstance(meta, dict) else None
    if claimed is None and not is_modern_version(sent):
        return _settle_legacy(message, params, sent, min_version)
    return _settle_modern(message, params, fields)


def era_of(message: Message | None, fields: Mapping[str, str]) -> Era:
    """The era of a message that was not settled: one mark of the modern one is enough."""
    if "mcp-method" in fields or is_modern_version(fields.get(VERSION_FIELD)):
        return Era.MODERN
    params = as_object(message.value.get("params")) if message is not None else {}
    return Era.MODERN if spec.META_VERSION in as_object(params.get("_meta")) else _LEGACY


def is_modern_version(version: str | None) -> bool:
    return version in spec.MODERN_VERSIONS


def _params(message: Message) -> JsonObject:
    if message.kind is _RESPONSE:
        return _NO_PARAMS
    params = message.value.get("params", _NO_PARAMS)
    if not isinstance(params, dict):
        raise MalformedError("params must be an object", code=INVALID_PARAMS, cause="params")
    refuse_lookalikes(params, spec.PARAM_KEYS, "params")
    if "_meta" in params:
        meta = params["_meta"]
        if not isinstance(meta, dict):
            raise MalformedError("_meta must be an object", code=INVALID_PARAMS, cause="meta")
        refuse_lookalikes(meta, spec.META_KEYS, "_meta")
    return params


def _settle_legacy(
    message: Message, params: JsonObject, sent: str | None, min_version: str
) -> Spoken:
    if sent is not None and sent not in spec.LEGACY_VERSIONS:
        raise MalformedError(
            "the version header names no known version",
            code=INVALID_REQUEST,
            status=400,
            cause="version_header",
        )
    version = sent or spec.DEFAULT_LEGACY
    if message.method == "initialize":
        asked = params.get("protocolVersion")
        if not isinstance(asked, str):
            raise MalformedError("initialize names no version", code=INVALID_PARAMS)
        # A version we do not know is an offer: the upstream answers with one of its own.
        version = asked if asked in spec.LEGACY_VERSIONS else version
        if asked < min_version:
            raise too_old()
    if message.kind is not _RESPONSE:
        _check_method(message, version, _LEGACY)
    return Spoken(_LEGACY, version, params)


def too_old() -> EnforcementError:
    return MalformedError(
        "this version is older than the upstream's minimum",
        code=INVALID_PARAMS,
        status=400,
        cause="min_version",
    )


def below(version: str, min_version: str) -> bool:
    """Whether `version` came before `min_version`; both are known ones."""
    return _ORDER.index(version) < _ORDER.index(min_version)


def _settle_modern(message: Message, params: JsonObject, fields: Mapping[str, str]) -> Spoken:
    if message.kind is _RESPONSE:  # 2
        raise MalformedError("responses are not posted in this version", code=INVALID_REQUEST)
    meta = params.get("_meta")
    claimed = meta.get(spec.META_VERSION) if isinstance(meta, dict) else None
    if message.kind is _REQUEST or claimed is not None:  # 3
        capabilities = meta.get(spec.META_CAPABILITIES) if isinstance(meta, dict) else None
        if not isinstance(claimed, str) or not isinstance(capabilities, dict):
            raise MalformedError(
                "_meta must carry the protocol version and the client's capabilities",
                code=INVALID_PARAMS,
                cause="meta",
            )
    version = claimed if isinstance(claimed, str) else fields.get(VERSION_FIELD, "")
    if fields.get(VERSION_FIELD) != version:  # 4
        raise mismatch("the version header differs from the body")
    if fields.get("mcp-method") != message.method:
        raise mismatch("the method header differs from the body")
    _check_name(message.method, params, fields)  # 5
    if version not in spec.MODERN_VERSIONS:  # 6
        raise MalformedError(
            "this protocol version is not supported",
            code=spec.UNSUPPORTED_VERSION,
            cause="version",
        )
    _check_method(message, version, _MODERN)  # 8; 7 needs the pinned schema: requests.py
    return Spoken(_MODERN, version, params)


def _check_name(method: str, params: JsonObject, fields: Mapping[str, str]) -> None:
    member = spec.NAME_MEMBER.get(method)
    if member is None:
        return
    sent, value = fields.get("mcp-name"), params.get(member)
    if sent is None and not isinstance(value, str):
        return  # neither is there: the params are refused for what they lack
    if sent is None or decode(sent) != value:
        raise mismatch("the name header differs from the body")


def _check_method(message: Message, version: str, era: Era) -> None:
    """Refuse what is no method of this version. Undeclared ones are decided in `requests`."""
    calls, told = spec.CLIENT_REQUESTS, spec.CLIENT_NOTIFICATIONS
    if message.kind is _NOTIFICATION:
        if message.method in calls:
            raise MalformedError("a request must have an id", code=INVALID_REQUEST, cause="no_id")
        if version not in told.get(message.method, ()):
            raise UnrecognisedError(
                "no such notification", code=METHOD_NOT_FOUND, cause="notification"
            )
    elif message.method in told:
        raise MalformedError("a notification has no id", code=INVALID_REQUEST, cause="id")
    elif message.method in calls and not _speaks(version, calls[message.method], era):
        raise unknown_method()


def _speaks(version: str, versions: frozenset[str], era: Era) -> bool:
    if era is _LEGACY:
        # The session may have settled on a later version than a missing header says.
        return not versions.isdisjoint(spec.LEGACY_VERSIONS)
    return version in versions


def unknown_method() -> UnrecognisedError:
    return UnrecognisedError(
        "no such method in this version", code=METHOD_NOT_FOUND, cause="method"
    )
