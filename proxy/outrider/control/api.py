"""The control API: authenticated, audited, closed (HARDENING §9).

Laws: nothing changes by GET; every call is authenticated first and recorded, refused ones too
(of OPA's polls those alone: what it was given has a record as policy); an operator's token never
opens what is OPA's, nor OPA's what is an operator's.
"""

import hmac
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

import orjson

from outrider.control.http import Request, Response
from outrider.core.answers import ANSWERS
from outrider.core.errors import ConfigError, EnforcementError, OutriderError
from outrider.core.jsonvalue import Json
from outrider.core.secret import Secret
from outrider.core.strict_json import JsonLimits, read

logger = logging.getLogger("outrider.control")

_BEARER: Final = re.compile(r"Bearer ([\x21-\x7e]{32,4096})")
_LIMITS: Final = JsonLimits()
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_PLACE: Final = "{id}"
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An authenticated call: its query parameters and its body, read strictly. `name` is what
    stands in the path where its operation has `{id}`."""

    query: Mapping[str, str]
    body: Json
    headers: Mapping[str, str]
    name: str = ""


Operation = Callable[[Call], Awaitable[Response]]
Note = Callable[[str, str], None]
"""Records a call: its operation, `METHOD /path` of a closed set, and `ok` or why it was refused."""
Counted = Callable[[str], None]
"""Counts a call: ok, refused or error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One operation. In `path` one segment may be `{id}`; `token` says who may call it."""

    method: str
    path: str
    run: Operation
    token: str = "operator"  # noqa: S105 - the name of a token, not a token


class ControlApi:
    """Routes calls to operations behind their tokens."""

    def __init__(
        self,
        *,
        endpoints: tuple[Endpoint, ...],
        tokens: Mapping[str, Secret],
        refused_uids: frozenset[int],
        note: Note,
        counted: Counted,
    ) -> None:
        self._by_path: dict[str, dict[str, Endpoint]] = {}
        for endpoint in endpoints:
            self._by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
        self._tokens = tokens
        self._refused_uids = refused_uids
        self._tell = note
        self._counted = counted

    async def handle(self, request: Request) -> Response:
        """The answer to one call; any fault of ours is a 500 that says nothing."""
        try:
            response = await self._dispatch(request)
        except ConfigError as fault:
            response = problem(400, str(fault))
        except EnforcementError as fault:
            response = problem(fault.status or ANSWERS[fault.reason].http, str(fault))
        except (OutriderError, OSError):
            logger.exception("a control call failed", extra={"event": "control_failed"})
            response = problem(500, "internal fault")
        result = "ok" if response.status < 400 else "refused"
        self._counted("error" if response.status >= 500 else result)
        return response

    async def _dispatch(self, request: Request) -> Response:
        path, name = self._place(request.path)
        methods = self._by_path.get(path)
        holder = self._holder(request)
        if holder is None:
            self._note(request, path, "unauthenticated")
            return Response(
                status=401, body=b'{"error":"unauthenticated"}',
                headers=(("www-authenticate", "Bearer"),),
            )  # fmt: skip
        request.vouch()
        if methods is None:
            self._note(request, path, "unknown")
            return problem(404, "no such operation")
        endpoint = methods.get(request.method)
        if endpoint is None:
            self._note(request, path, "method")
            return Response(
                status=405, body=b'{"error":"method"}', headers=(("allow", ", ".join(methods)),)
            )
        if endpoint.token != holder:
            self._note(request, path, "forbidden")
            return problem(403, "not for this token")
        try:
            content = await request.read_body()
            body: Json = read(content, _LIMITS) if content else None
        except EnforcementError:
            self._note(request, path, "malformed")
            raise
        if holder == "operator":
            self._note(request, path, "ok")
        return await endpoint.run(
            Call(
                query=dict(parse_qsl(request.query)),
                body=body,
                headers=request.headers,
                name=name,
            )
        )

    def _holder(self, request: Request) -> str | None:
        """Whose token the request carries, if any; the agent's own uid never counts."""
        if request.uid is not None and request.uid in self._refused_uids:
            return None
        given = _BEARER.fullmatch(request.headers.get("authorization", ""))
        if given is None:
            return None
        token = given.group(1).encode()
        found = None
        for name, secret in self._tokens.items():
            if hmac.compare_digest(secret.reveal(), token):
                found = name
        return found

    def _place(self, path: str) -> tuple[str, str]:
        """The path of the operation that `path` asks for, and what stands there for `{id}`; `path`
        itself where there is none."""
        if path in self._by_path or _PLACE in path:
            return (path, "") if _PLACE not in path else ("", "")
        parts = path.split("/")
        for index, part in enumerate(parts):
            if _ID.fullmatch(part):
                place = "/".join((*parts[:index], _PLACE, *parts[index + 1 :]))
                if place in self._by_path:
                    return place, part
        return path, ""

    def _note(self, request: Request, path: str, result: str) -> None:
        known = path if path in self._by_path else "other"
        method = request.method if request.method in _METHODS else "other"
        self._tell(f"{method} {known}", result)


def answer(value: Json, status: int = 200) -> Response:
    return Response(status=status, body=orjson.dumps(value))


def problem(status: int, detail: str) -> Response:
    return answer({"error": detail}, status)
